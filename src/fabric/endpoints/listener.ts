import type { AddressInfo, Server } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../log.js';
import { parseAddress } from '../model.js';

/** What the endpoints have in common: they listen, they have room for so many clients, and they end. */

export interface Endpoint {
  /** The real one: where port 0 was asked for, the port it got. */
  readonly address: { readonly host: string; readonly port: number };
  /** From now on clients come in; before, each connection is closed at once. */
  open(): void;
  /** Takes no new calls and waits for those under way, at most `grace` ms; then nothing of it is open. */
  stop(grace: number): Promise<void>;
}

/** One connection. */
export interface Client {
  /** Resolves when the socket is closed. */
  readonly closed: Promise<void>;
  /** Ends it, after the call under way if there is one. */
  finish(): void;
  destroy(): void;
}

export interface Clients<C extends Client> {
  welcome(client: C): void;
  /** The client has logged in; false: there are too many. */
  admit(client: C): boolean;
  /** Ends all; those whose call is under way get `grace` ms. */
  leave(grace: number): Promise<void>;
}

/**
 * Room for `limit` clients that have logged in, and for as many that have not. When those are more, the one that has waited longest goes:
 * strangers keep nobody out.
 */
export function createClients<C extends Client>(limit: number): Clients<C> {
  const strangers = new Set<C>();
  const members = new Set<C>();
  return {
    welcome(client) {
      const [longestWaiting] = strangers;
      if (longestWaiting && strangers.size >= limit) {
        strangers.delete(longestWaiting);
        longestWaiting.destroy();
      }
      strangers.add(client);
      void client.closed.then(() => strangers.delete(client) || members.delete(client));
    },
    admit(client) {
      if (members.has(client)) return true;
      if (members.size >= limit || !strangers.delete(client)) return false;
      members.add(client);
      return true;
    },
    async leave(grace) {
      const all = [...strangers, ...members];
      for (const client of all) client.finish();
      const timeUp = new AbortController();
      const ended = Promise.all(all.map(client => client.closed));
      await Promise.race([ended, sleep(grace, undefined, { signal: timeUp.signal }).catch(() => {})]);
      timeUp.abort();
      for (const client of all) client.destroy();
    },
  };
}

export interface Listener<C extends Client> {
  /** For the log: `the MySQL endpoint`. */
  readonly name: string;
  readonly server: Server;
  /** `host:port` as it was configured, and the port where it names none. */
  readonly where: string;
  readonly port: number;
  readonly clients: Clients<C>;
  readonly log: Log;
}

/** Takes the port, and nobody in yet; rejects with Node's error when it cannot (EADDRINUSE ...). */
export async function listen<C extends Client>({
  name,
  server,
  where,
  port,
  clients,
  log,
}: Listener<C>): Promise<Endpoint> {
  const parsed = parseAddress(where, port, true);
  if ('problem' in parsed) throw new RangeError(parsed.problem);
  const { host } = parsed.value;
  // Not 0: that was no bound before Node 21.
  server.maxConnections = -1;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(parsed.value.port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  // What goes wrong from here on (no more file descriptors ...) costs single connections, never the process.
  server.on('error', error => log.error(`${name}: ${error.message}`));
  return {
    address: { host, port: (server.address() as AddressInfo).port },
    open() {
      server.maxConnections = Number.POSITIVE_INFINITY;
    },
    async stop(grace) {
      const closed = new Promise<void>(resolve => server.close(() => resolve()));
      await clients.leave(grace);
      await closed;
    },
  };
}
