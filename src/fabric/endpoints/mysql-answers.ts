import { type CommandContext, commandFor, dispatch, notPermitted } from '../commands/define.js';
import type { Caller } from '../roles.js';
import { bindCall, parseStatement, type Statement } from './call-statement.js';
import type { Refusal } from './mysql-packets.js';
import { callSets, helpSet, jsonSets, routinesSet, type TextSet } from './mysql-results.js';

/** From the text of a statement to its answer. */

export type Answer =
  | { readonly kind: 'ok' }
  | { readonly kind: 'refused'; readonly refusal: Refusal }
  | { readonly kind: 'sets'; readonly sets: readonly TextSet[] };

export const OK: Answer = { kind: 'ok' };

/** As long as MySQL's own at most. */
const LONGEST_MESSAGE = 500;

/** Every error of this endpoint says whose it is. */
export function refusal(errno: number, state: string, message: string): Refusal {
  return { errno, state, message: `[Fabric] ${message.slice(0, LONGEST_MESSAGE)}` };
}

const refused = (...why: Parameters<typeof refusal>): Answer => ({ kind: 'refused', refusal: refusal(...why) });
const sets = (...given: readonly TextSet[]): Answer => ({ kind: 'sets', sets: given });

/** What one client has set. */
export interface SessionSettings {
  json: boolean;
}

/** Never rejects: what a command refuses is in its answer, and what is no command is answered with an error. */
export function createAnswers(
  context: CommandContext,
): (sql: string, settings: SessionSettings, caller: Caller) => Promise<Answer> {
  return async (sql, settings, caller) => {
    const statement = parseStatement(sql);
    switch (statement.kind) {
      case 'call':
        return call(context, caller, statement, settings);
      case 'format':
        return setFormat(statement.format, settings);
      case 'help': {
        const command = context.commands.get(statement.name);
        return command ? sets(helpSet(command)) : refused(1106, '22000', 'Unknown Fabric command');
      }
      case 'routines':
        return sets(routinesSet(context.commands.values()));
      case 'broken':
        return refused(1149, '42000', 'You have an error in your SQL syntax');
      case 'other':
        return OK;
    }
  };
}

async function call(
  context: CommandContext,
  caller: Caller,
  { name, args }: Extract<Statement, { kind: 'call' }>,
  { json }: SessionSettings,
): Promise<Answer> {
  const command = commandFor(context, caller, name);
  if (command === 'unknown') return refused(1106, 'HY000', 'Unknown Fabric command');
  if (command === 'forbidden') return refused(1370, '42000', notPermitted(caller, name));
  const bound = bindCall(args, command.params);
  if ('problem' in bound) {
    const takes = command.params.map(param => param.name).join(', ');
    return refused(1108, '22000', `Wrong arguments for ${name}(${takes}): ${bound.problem}`);
  }
  const reply = await dispatch(context, caller, name, bound.values);
  const { ttl } = context.options.connector;
  return sets(...(json ? jsonSets(command, reply, ttl) : callSets(command, reply, ttl)));
}

function setFormat(format: string, settings: SessionSettings): Answer {
  if (format.toLowerCase() !== 'json') return refused(1228, 'HY000', `Format (${format}) is not supported`);
  settings.json = true;
  return OK;
}
