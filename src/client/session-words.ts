import { firstWord } from './sql-words.js';

/**
 * Which statements set something in the session that the same statement sets on any other server: constants only, one statement, no
 * comments in it. All else that leaves session state (`leavesSessionState`) counts as something that another server cannot have.
 */

export interface Setting {
  /** What it sets. A later setting of the same makes it superfluous. */
  readonly names: readonly string[];
  /** For the next transaction alone. */
  readonly once: boolean;
}

/** Characters of a statement that is looked at. */
const LONGEST = 4_096;

const VALUE = String.raw`(?:'[^'\\]*'|"[^"\\]*"|\?|[+-]?[\w.$]+)`;
const LEVEL = String.raw`isolation\s+level\s+(?:read\s+(?:un)?committed|repeatable\s+read|serializable)`;
const END = /\s*;?\s*$/y;
const COMMA = /\s*,\s*/y;
const USE = /use\s+(?:`[^`]+`|[\w$]+)/iy;
const SET = /set\s+/iy;
const NAMES = new RegExp(String.raw`names\s+${VALUE}(?:\s+collate\s+${VALUE})?`, 'iy');
const TRANSACTION = /(?:(?:session|local)\s+)?transaction\s+/iy;
const CHARACTERISTIC = new RegExp(String.raw`(${LEVEL})|read\s+(?:only|write)`, 'iy');
const VARIABLE = new RegExp(
  String.raw`(?:(?:session|local)\s+|@@(?:(?:session|local)\s*\.\s*)?)?(\w+)\s*:?=\s*(${VALUE})`,
  'iy',
);
const UNSCOPED = /@@(?!\s*(?:session|local)\b)/iy;
/** A word that is not a constant. */
const FUNCTION = /^(?:current_|utc_|localtime|sysdate)/i;
/** Of one moment, or no variables at all. */
const NOT_TO_REPEAT = /^(?:password|role|gtid_next|identity|(?:last_)?insert_id|rand_seed[12]|pseudo_\w+)$/;
const OF_NAMES = ['character_set_client', 'character_set_connection', 'character_set_results', 'collation_connection'];
const ISOLATION = 'transaction_isolation';
const ACCESS = 'transaction_read_only';
/** As MySQL 5.6 calls them. */
const OLD_NAMES: Readonly<Record<string, string>> = { tx_isolation: ISOLATION, tx_read_only: ACCESS };

/** undefined: nothing, or not in so many words. */
export function settingOf(sql: string): Setting | undefined {
  if (sql.length > LONGEST) return undefined;
  const text = new Scanner(sql, firstWord(sql));
  if (text.has(USE)) return text.has(END) ? { names: ['schema'], once: false } : undefined;
  if (!text.has(SET)) return undefined;
  const setting = names(text) ?? characteristics(text) ?? variables(text);
  return setting !== undefined && text.has(END) ? setting : undefined;
}

function names(text: Scanner): Setting | undefined {
  return text.has(NAMES) ? { names: OF_NAMES, once: false } : undefined;
}

function characteristics(text: Scanner): Setting | undefined {
  const begin = text.has(TRANSACTION);
  if (!begin) return undefined;
  const set: string[] = [];
  do {
    const found = text.has(CHARACTERISTIC);
    if (!found) return undefined;
    set.push(found[1] === undefined ? ACCESS : ISOLATION);
  } while (text.has(COMMA));
  return { names: set, once: /^transaction/i.test(begin[0]) };
}

function variables(text: Scanner): Setting | undefined {
  const set: string[] = [];
  do {
    const unscoped = text.sees(UNSCOPED);
    const found = text.has(VARIABLE);
    if (!found) return undefined;
    const given = String(found[1]).toLowerCase();
    const name = OLD_NAMES[given] ?? given;
    if (NOT_TO_REPEAT.test(name) || FUNCTION.test(String(found[2]))) return undefined;
    if (unscoped && (name === ISOLATION || name === ACCESS)) return undefined; // for one transaction, in yet another notation
    set.push(name);
  } while (text.has(COMMA));
  return { names: set, once: false };
}

class Scanner {
  constructor(
    readonly text: string,
    private at: number,
  ) {}

  sees(sticky: RegExp): RegExpExecArray | null {
    sticky.lastIndex = this.at;
    return sticky.exec(this.text);
  }

  /** Goes on behind it. */
  has(sticky: RegExp): RegExpExecArray | null {
    const found = this.sees(sticky);
    if (found) this.at = sticky.lastIndex;
    return found;
  }
}
