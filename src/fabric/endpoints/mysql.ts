import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CommandContext } from '../commands/define.js';
import { parseAddress } from '../model.js';
import { type EndpointOptions, MYSQL_PORT } from '../options.js';
import { createAnswers } from './mysql-answers.js';
import { requireServerHalf } from './mysql-connection.js';
import { createLoginCheck } from './mysql-login.js';
import { MysqlSession, type SessionLimits, type SessionParts } from './mysql-session.js';

/** The endpoint of the MySQL protocol: it listens, and knows how many clients there are. What one may do is `mysql-session.ts`'s. */

export interface MysqlEndpoint {
  /** The real one: where port 0 was asked for, the port it got. */
  readonly address: { readonly host: string; readonly port: number };
  /** Takes no new commands and waits for those under way, at most `grace` ms; then nothing of it is open. */
  stop(grace: number): Promise<void>;
}

export interface MysqlLimits extends SessionLimits {
  /** Clients that have logged in. */
  readonly connections: number;
  /** Clients that have not yet. When they are more, the one that has waited longest goes: strangers keep nobody out. */
  readonly strangers: number;
}

const LIMITS: MysqlLimits = {
  connections: 100,
  strangers: 100,
  packet: 1024 * 1024,
  handshakeTimeout: 10_000,
  idleTimeout: 300_000,
};

/** The package's version, behind one of MySQL as MariaDB has it: connectors refuse servers that call themselves older than 4.1. */
export const SERVER_VERSION = '5.7.9-0.1.0-fabric';

/** Listens; rejects with Node's error when it cannot (EADDRINUSE ...). */
export async function startMysql(
  options: EndpointOptions,
  context: CommandContext,
  limits: Partial<MysqlLimits> = {},
): Promise<MysqlEndpoint> {
  requireServerHalf();
  const bounds = { ...LIMITS, ...limits };
  const clients = createClients(options, context, bounds);
  const server = createServer();
  server.on('connection', socket => clients.welcome(socket));
  const address = await listen(server, options.address);
  // What goes wrong from here on (no more file descriptors ...) costs single connections, never the process.
  server.on('error', error => context.log.error(`the MySQL endpoint: ${error.message}`));
  return {
    address,
    async stop(grace) {
      const closed = new Promise<void>(resolve => server.close(() => resolve()));
      await clients.leave(grace);
      await closed;
    },
  };
}

function createClients(options: EndpointOptions, context: CommandContext, bounds: MysqlLimits) {
  const strangers = new Set<MysqlSession>();
  const members = new Set<MysqlSession>();
  const parts: SessionParts = {
    limits: bounds,
    serverVersion: SERVER_VERSION,
    log: context.log,
    mayLogIn: createLoginCheck(options),
    admit(session) {
      if (members.size >= bounds.connections) return false;
      strangers.delete(session);
      members.add(session);
      return true;
    },
    answer: createAnswers(context),
  };
  let connections = 0;

  return {
    welcome(socket: Socket): void {
      const [longestWaiting] = strangers;
      if (strangers.size >= bounds.strangers) longestWaiting?.destroy();
      connections = (connections + 1) >>> 0;
      const session = new MysqlSession(socket, connections, parts);
      strangers.add(session);
      session.closed.then(() => strangers.delete(session) || members.delete(session));
    },
    /** Ends all sessions; those that are answering get `grace` ms. */
    async leave(grace: number): Promise<void> {
      const all = [...strangers, ...members];
      for (const session of all) session.finish();
      const timeUp = new AbortController();
      const ended = Promise.all(all.map(session => session.closed));
      await Promise.race([ended, sleep(grace, undefined, { signal: timeUp.signal }).catch(() => {})]);
      timeUp.abort();
      for (const session of all) session.destroy();
    },
  };
}

async function listen(server: Server, text: string): Promise<{ host: string; port: number }> {
  const parsed = parseAddress(text, MYSQL_PORT, true);
  if ('problem' in parsed) throw new RangeError(parsed.problem);
  const { host, port } = parsed.value;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  return { host, port: (server.address() as AddressInfo).port };
}
