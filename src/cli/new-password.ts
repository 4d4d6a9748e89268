import { resolve } from 'node:path';
import type { XmlRpcValue } from '../wire/xmlrpc.js';
import { type CommandLine, lastValue } from './arguments.js';
import { type CliCommand, secretOption } from './catalogue.js';
import { CliError } from './failure.js';
import type { Io } from './io.js';
import { askHidden } from './prompt.js';
import { readFile } from './read-file.js';

/** Passwords that a command is to set: never words of the command line, which everybody on the machine can read. */

/** The arguments with the passwords in their places. @throws CliError, and Interrupted on Ctrl-C. */
export async function withSecrets(
  { params }: CliCommand,
  args: readonly XmlRpcValue[],
  line: CommandLine,
  io: Io,
): Promise<readonly XmlRpcValue[]> {
  const complete = [...args];
  for (const [index, param] of params.entries()) {
    if (!param.secret) continue;
    const option = secretOption(param);
    const file = lastValue(line, option);
    complete[index] = file === undefined || file === '-' ? await newPassword(io, option) : readPassword(file, io);
  }
  return complete;
}

/** Asked for twice on a terminal, else what stdin has. @param option that names a file instead, if there is one. */
export async function newPassword(io: Io, option?: string, whose = ''): Promise<string> {
  const password = io.terminal
    ? await askTwice(`New password${whose}: `, io.terminal, io)
    : withoutNewline(await io.input());
  if (password !== '') return password;
  const file = option === undefined ? '' : ` or in --${option}`;
  throw new CliError('There is no new password.', `Type it on a terminal, or give it on stdin${file}.`);
}

async function askTwice(question: string, terminal: NonNullable<Io['terminal']>, io: Io): Promise<string> {
  const password = await askHidden(question, terminal, io.err);
  if (password === '' || password === (await askHidden('Again: ', terminal, io.err))) return password;
  throw new CliError('The two passwords differ.', 'Nothing was changed: try again.');
}

/** @throws CliError */
export function readPassword(file: string, { cwd }: Pick<Io, 'cwd'>): string {
  const path = resolve(cwd, file);
  return withoutNewline(readFile(path, `The password file ${path}`).toString('utf8'));
}

const withoutNewline = (text: string): string => text.replace(/\r?\n$/, '');
