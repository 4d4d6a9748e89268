import { type Config, loadConfig, unfound } from '../fabric/config-file.js';
import { ConfigError } from '../fabric/config-ini.js';
import { type CommandLine, parseLine, UsageError, wireArguments } from './arguments.js';
import { callNode } from './call.js';
import { catalogue, commandsOf, type LocalCommand } from './catalogue.js';
import { completion } from './completion.js';
import { CliError } from './failure.js';
import { help, TOOL, usageError } from './help.js';
import type { Io } from './io.js';
import { Interrupted } from './prompt.js';
import { VERSION } from './version.js';

/** From a command line to an exit status: 0 done, 1 failed, 2 not understood or help, 130 interrupted. */

export async function main(argv: readonly string[], io: Io): Promise<number> {
  try {
    return await run(argv, io);
  } catch (error) {
    return failed(error, io);
  }
}

async function run(argv: readonly string[], io: Io): Promise<number> {
  const line = parseLine(argv, null);
  const [group, name] = line.words;
  if (line.flags.has('version')) return show(io, `${VERSION}\n`, 0);
  if (line.flags.has('help')) return show(io, help(line.words.slice(0, 2)), 0);
  // As in the original: help that is asked for by its word is no success.
  if (group === undefined || group === 'help') return show(io, help(line.words.slice(1)), 2);
  if (group === 'completion') return show(io, completion(name), 0);
  return carryOut(argv, line, io);
}

function show(io: Io, text: string, status: number): number {
  io.out(text);
  return status;
}

async function carryOut(argv: readonly string[], { words: [group = '', name] }: CommandLine, io: Io): Promise<number> {
  const command = catalogue.get(`${group}.${name}`);
  if (!command) throw new UsageError(unknown(group, name), null);
  const line = parseLine(argv, command);
  const args = wireArguments(command, line);
  const { env, cwd } = io;
  const config = loadConfig({
    file: line.values.get('config')?.at(-1),
    params: line.values.get('param') ?? [],
    env,
    cwd,
  });
  if (command.sets !== null) return callNode(command, args, line, config, io);
  if (line.flags.has('daemonize')) return (await import('./daemon.js')).startDaemon(config, io, argv);
  const work = await LOCAL[command.name as LocalCommand]();
  return work(config, io).catch(error => {
    if (error instanceof ConfigError)
      throw new CliError(error.message, `${EXAMPLE}\n${unfound(config)}`.trim(), { cause: error });
    throw error;
  });
}

const EXAMPLE = 'examples/fabric.cfg of the package shows every setting.';

/** Loaded when needed: whoever only calls a node does without its parts. */
const LOCAL: Readonly<Record<LocalCommand, () => Promise<(config: Config, io: Io) => Promise<number>>>> = {
  'manage.start': async () => (await import('./start-node.js')).startNode,
  'manage.setup': async () => (await import('./state-store.js')).setUp,
  'manage.teardown': async () => (await import('./state-store.js')).tearDown,
};

function unknown(group: string, name: string | undefined): string {
  if (commandsOf(group).length === 0) return `There is no group '${group}'.`;
  return name === undefined ? `Which command of the group '${group}'?` : `There is no command '${group} ${name}'.`;
}

function failed(error: unknown, io: Io): number {
  if (error instanceof UsageError) {
    io.err(usageError(error));
    return 2;
  }
  if (error instanceof Interrupted) return 130;
  const message = error instanceof Error ? error.message : String(error);
  io.err(`${TOOL}: ${message}\n`);
  if (error instanceof CliError) io.err(`${error.advice}\n`);
  if (error instanceof ConfigError) io.err(`${EXAMPLE}\n`);
  return 1;
}
