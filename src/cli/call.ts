import { X509Certificate } from 'node:crypto';
import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import { FabricRpc } from '../client/fabric-rpc.js';
import { askedBy } from '../fabric/commands/define.js';
import { type Config, unfound } from '../fabric/config-file.js';
import type { DecodedReply } from '../wire/reply.js';
import type { XmlRpcValue } from '../wire/xmlrpc.js';
import { type CommandLine, lastValue } from './arguments.js';
import type { CliCommand } from './catalogue.js';
import { adviceForRefusal, CliError, failedCall } from './failure.js';
import { TOOL } from './help.js';
import { type Io, type Signal, STATUS } from './io.js';
import { readPassword, withSecrets } from './new-password.js';
import { formatJson, formatReply } from './output.js';
import { askHidden } from './prompt.js';
import { readFile } from './read-file.js';
import { showSteps } from './steps.js';

/** Sends a command to the node and shows its answer. */

/** A change waits for others of its group and for servers; the original has no bound at all. */
const TIMEOUT_MS = 600_000;
const LOOK_TIMEOUT_MS = 5_000;
/** An operator may ask for all groups: of a hundred thousand that is some 50 MB. */
const ANSWER_LIMIT = 512 * 1024 * 1024;

/** @returns the exit status. @throws CliError when there is no answer. */
export async function callNode(
  command: CliCommand,
  args: readonly XmlRpcValue[],
  line: CommandLine,
  config: Config,
  io: Io,
): Promise<number> {
  const { host, port } = config.caller;
  const tls = tlsOf(config);
  const caller = await account(line, config, io);
  const complete = await withSecrets(command, args, line, io);
  const node = { host, port, tls, ...caller };
  const rpc = new FabricRpc([node], TIMEOUT_MS, ANSWER_LIMIT);
  const watch = new FabricRpc([node], LOOK_TIMEOUT_MS);
  const end =
    isLong(command, args) && io.watched && !line.flags.has('json') ? follow(command, caller, watch, io) : () => {};
  try {
    const untilStopped = await watchFor(command, config);
    const answer = rpc.ask(command.name, complete, command.acts ? 'change' : 'look');
    const reply = await (command.kind === 'procedure' ? orSignal(answer, io) : answer);
    end();
    if (typeof reply === 'string') return leave(reply, io);
    io.out(line.flags.has('json') ? formatJson(reply) : formatReply(reply, command));
    if (reply.error === '') return untilStopped ? stopped(untilStopped, io) : 0;
    io.err(`${adviceForRefusal(reply, command)}\n`);
    return 1;
  } catch (error) {
    throw failedCall(error, `${host}:${port}`, command);
  } finally {
    end();
    watch.close();
    rpc.close();
  }
}

/** The answer is no longer waited for, once the operator has gone. */
async function orSignal(answer: Promise<DecodedReply>, io: Io): Promise<DecodedReply | Signal> {
  answer.catch(() => {});
  return Promise.race([answer, io.signal()]);
}

function leave(signal: Signal, io: Io): number {
  io.err(
    `The node goes on with it: '${TOOL} event under_way' shows it while it lasts, '${TOOL} event log' how it ended.\n`,
  );
  return STATUS[signal];
}

/** Of `manage.stop` the answer is that the node will; the tool waits until it has. */
async function watchFor(command: CliCommand, config: Config) {
  return command.name === 'manage.stop' ? (await import('./until-stopped.js')).watchStop(config) : undefined;
}

async function stopped(untilStopped: () => Promise<string | undefined>, io: Io): Promise<number> {
  const left = await untilStopped();
  if (left === undefined) return 0;
  io.err(`The node has been told to stop, and still has ${left}: its log says what it is at.\n`);
  return 1;
}

/** A change that is waited for. */
function isLong({ params }: CliCommand, args: readonly XmlRpcValue[]): boolean {
  return args[params.findIndex(({ name }) => name === 'synchronous')] === true;
}

function follow({ name }: CliCommand, { user = '' }: { readonly user?: string | undefined }, rpc: FabricRpc, io: Io) {
  return showSteps({
    askedBy: askedBy(name, { user }),
    look: () => rpc.ask('event.under_way', [], 'look'),
    show: io.err,
  });
}

/** A node's own configuration has its certificate: that is as good as any name in it, for the node may well be called as 127.0.0.1. */
function tlsOf({ caller: { sslCa, sslCert } }: Config) {
  if (sslCa === undefined && sslCert === undefined) return null;
  const own = sslCert === undefined ? undefined : new X509Certificate(readSetting('ssl_cert', sslCert));
  const ca = sslCa === undefined ? own?.toString() : readSetting('ssl_ca', sslCa);
  return {
    ...(ca !== undefined && { ca }),
    checkServerIdentity: (name: string, certificate: PeerCertificate) =>
      own && certificate.raw.equals(own.raw) ? undefined : checkServerIdentity(name, certificate),
  };
}

function readSetting(key: string, path: string): Buffer {
  return readFile(path, `The file of [protocol.xmlrpc] ${key}, ${path},`);
}

/** The configured password is that of the configured user alone. */
async function account(line: CommandLine, config: Config, io: Io) {
  const { caller } = config;
  const user = lastValue(line, 'user') ?? caller.user;
  const file = lastValue(line, 'password_file');
  if (file !== undefined) return { user, password: readPassword(file, io) };
  if (caller.open && !line.values.has('user')) return { user: undefined, password: undefined };
  if (user === caller.user && caller.password !== undefined) return { user, password: caller.password };
  if (io.terminal) return { user, password: await askHidden(`Password for ${user}: `, io.terminal, io.err) };
  throw new CliError(
    `There is no password for user '${user}', and nobody to ask.`,
    [
      'Give it in [protocol.xmlrpc] password, MYSQL2_FABRIC_PROTOCOL_XMLRPC_PASSWORD or --password-file.',
      unfound(config),
    ]
      .join('\n')
      .trim(),
  );
}
