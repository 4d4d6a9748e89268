import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { FabricRpc } from '../client/fabric-rpc.js';
import type { Config } from '../fabric/config-file.js';
import type { XmlRpcValue } from '../wire/xmlrpc.js';
import { type CommandLine, lastValue } from './arguments.js';
import type { CliCommand } from './catalogue.js';
import { adviceForRefusal, CliError, failedCall } from './failure.js';
import type { Io } from './io.js';
import { formatJson, formatReply } from './output.js';
import { askHidden } from './prompt.js';

/** Sends a command to the node and shows its answer. */

/** A change waits for others of its group and for servers; the original has no bound at all. */
const TIMEOUT_MS = 600_000;

/** @returns the exit status. @throws CliError when there is no answer. */
export async function callNode(
  command: CliCommand,
  args: readonly XmlRpcValue[],
  line: CommandLine,
  config: Config,
  io: Io,
): Promise<number> {
  const { host, port } = config.caller;
  const rpc = new FabricRpc([{ host, port, ...(await account(line, config, io)) }], TIMEOUT_MS);
  try {
    const reply = await rpc.ask(command.name, args);
    io.out(line.flags.has('json') ? formatJson(reply) : formatReply(reply, command));
    if (reply.error === '') return 0;
    io.err(`${adviceForRefusal(reply, command)}\n`);
    return 1;
  } catch (error) {
    throw failedCall(error, `${host}:${port}`);
  } finally {
    rpc.close();
  }
}

/** The configured password is that of the configured user alone. */
async function account(line: CommandLine, { caller }: Config, io: Io) {
  const user = lastValue(line, 'user') ?? caller.user;
  const file = lastValue(line, 'password_file');
  if (file !== undefined) return { user, password: readPassword(resolve(io.cwd, file)) };
  if (caller.open && !line.values.has('user')) return { user: undefined, password: undefined };
  if (user === caller.user && caller.password !== undefined) return { user, password: caller.password };
  if (io.terminal) return { user, password: await askHidden(`Password for ${user}: `, io.terminal, io.err) };
  throw new CliError(
    `There is no password for user '${user}', and nobody to ask.`,
    'Give it in [protocol.xmlrpc] password, MYSQL2_FABRIC_PROTOCOL_XMLRPC_PASSWORD or --password-file.',
  );
}

function readPassword(path: string): string {
  try {
    return readFileSync(path, 'utf8').replace(/\r?\n$/, '');
  } catch (cause) {
    const { code = String(cause) } = cause as NodeJS.ErrnoException;
    throw new CliError(`The password file ${path} cannot be read (${code}).`, 'Check its name and permissions.', {
      cause,
    });
  }
}
