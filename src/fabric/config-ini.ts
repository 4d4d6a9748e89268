/**
 * The form of fabric.cfg: `[section]`, `key = value` or `key: value`, comments with `#` or `;`, and `%(name)s` for another value.
 * A reader of its own, because every value keeps its line, and because libraries cut passwords at `;` and take quotes away.
 */

/** What is wrong with the configuration, and where. Never shows a value: it could be a password. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

export interface IniEntry {
  /** Sections and keys in lower case: their case does not matter. */
  readonly section: string;
  readonly key: string;
  readonly value: string;
  /** Counted from 1. */
  readonly line: number;
}

export interface IniFile {
  readonly sections: ReadonlySet<string>;
  /** With `%(name)s` filled in; of a key that is given twice, the last one. */
  readonly entries: readonly IniEntry[];
  /** Keys that are given twice. */
  readonly notes: readonly string[];
}

/** Its values stand for what other sections do not say, and may be named in `%(name)s`. */
export const DEFAULT_SECTION = 'default';

/** @throws ConfigError that names the line. */
export function parseIni(text: string, file: string): IniFile {
  const sections = new Set<string>();
  const notes: string[] = [];
  const entries = new Map<string, IniEntry>();
  let section: string | undefined;
  for (const [index, raw] of text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .entries()) {
    const at = `${file}:${index + 1}`;
    const line = parseLine(raw, at);
    if ('header' in line) {
      section = line.header;
      sections.add(section);
    } else if ('key' in line) {
      if (section === undefined) throw new ConfigError(`${at}: '${line.key}' stands before the first [section].`);
      const name = `${section}.${line.key}`;
      const earlier = entries.get(name);
      if (earlier) notes.push(`${at}: [${section}] ${line.key} is given again; line ${earlier.line} does not count.`);
      entries.set(name, { section, ...line, line: index + 1 });
    }
  }
  const filled = [...entries.values()].map(entry => ({ ...entry, value: interpolate(entry, entries, file) }));
  return { sections, entries: filled, notes };
}

type Line = { readonly header: string } | { readonly key: string; readonly value: string } | { readonly empty: true };

function parseLine(raw: string, at: string): Line {
  const line = raw.trim();
  if (line === '' || line.startsWith('#') || line.startsWith(';')) return { empty: true };
  const [, header] = /^\[([^\]]+)\]\s*(?:[;#].*)?$/.exec(line) ?? [];
  if (header !== undefined) return { header: header.trim().toLowerCase() };
  const [, key, value] = /^([^=:[\]]+?)\s*[=:]\s*(.*)$/.exec(line) ?? [];
  if (key === undefined || value === undefined) {
    throw new ConfigError(`${at}: neither a [section] nor 'key = value'.`);
  }
  // As in the original: a comment behind a value needs a blank before its semicolon.
  return { key: key.toLowerCase(), value: value.replace(/(^|\s);.*$/, '').trim() };
}

const MAX_DEPTH = 10;

/** `%(name)s` is the value of that name in the same section or in [DEFAULT], `%%` a percent sign. */
function interpolate(entry: IniEntry, entries: ReadonlyMap<string, IniEntry>, file: string, depth = 0): string {
  const at = `${file}:${entry.line}: [${entry.section}] ${entry.key}`;
  if (depth > MAX_DEPTH) throw new ConfigError(`${at} is made of itself, by way of %(...)s.`);
  return entry.value.replace(/%%|%\(([^)]*)\)s/g, (match, name?: string) => {
    if (name === undefined) return match.slice(1);
    const key = name.toLowerCase();
    const found = entries.get(`${entry.section}.${key}`) ?? entries.get(`${DEFAULT_SECTION}.${key}`);
    if (!found) throw new ConfigError(`${at}: %(${name})s is neither in [${entry.section}] nor in [DEFAULT].`);
    return interpolate(found, entries, file, depth + 1);
  });
}
