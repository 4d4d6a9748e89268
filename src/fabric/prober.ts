import type { Context } from './context.js';
import { AdminError, type ManagedServer } from './replication/replication.js';
import type { ServerRecord } from './store/store.js';
import type { Testimony } from './suspicion.js';

/**
 * Looks at one server. A probe is a connection of its own, because only that proves that the server still takes clients; besides, one
 * sentinel connection is held open: a killed server closes it at once, which is noticed in milliseconds instead of seconds.
 */
export interface Prober {
  /** Whether the server answers now, itself and not another one at its address; calls meanwhile share one probe. Never rejects. */
  probe(): Promise<boolean>;
  /** What this server, as a replica, knows of its source. Never rejects. */
  testify(source: ServerRecord): Promise<Testimony>;
  /** The connection that is held open, the same for as long as it is unbroken: since then the server has not restarted. */
  readonly sentinel: object | undefined;
  /** The answer on the sentinel, or on a connection of its own; null: it cannot be asked. Never rejects. */
  ask<T>(question: (server: ManagedServer) => Promise<T>): Promise<T | null>;
  close(): void;
}

export function createProber(record: ServerRecord, context: Context, lost: () => void): Prober {
  const timeout = context.options.failureTracking.detectionTimeout * 1000;
  let probing: Promise<boolean> | undefined;
  let sentinel: ManagedServer | undefined;
  let closed = false;

  const keepWatch = (server: ManagedServer) => {
    if (closed || sentinel) {
      server.close();
      return;
    }
    sentinel = server;
    server.onLost(() => {
      sentinel = undefined;
      if (!closed) lost();
    });
  };
  const probe = async () => {
    try {
      const server = await context.replication.connect(record, timeout);
      const { uuid } = await server.identity().catch(error => {
        server.close();
        throw error;
      });
      if (uuid.toLowerCase() === record.uuid.toLowerCase()) {
        keepWatch(server);
        return true;
      }
      server.close();
      context.log.debug(`at ${record.host}:${record.port} answers server ${uuid}, not ${record.uuid}`);
      return false;
    } catch (error) {
      return error instanceof AdminError && !error.unreachable;
    }
  };
  const ask = async <T>(question: (server: ManagedServer) => Promise<T>): Promise<T | null> => {
    try {
      const server = sentinel ?? (await context.replication.connect(record, timeout));
      return await question(server).finally(() => {
        if (server !== sentinel) server.close();
      });
    } catch {
      return null;
    }
  };

  return {
    probe() {
      probing ??= probe().finally(() => {
        probing = undefined;
      });
      return probing;
    },
    get sentinel() {
      return sentinel;
    },
    async testify(source) {
      return (await ask(server => testimony(server, source))) ?? 'silent';
    },
    ask,
    close() {
      closed = true;
      sentinel?.close();
    },
  };
}

/** Only a replica that tries to follow this very source can miss it. */
async function testimony(server: ManagedServer, source: ServerRecord): Promise<Testimony> {
  const status = await server.replicaStatus();
  if (!status || status.ioThread === 'stopped') return 'silent';
  const follows =
    status.sourceUuid.toLowerCase() === source.uuid.toLowerCase() ||
    (status.source.host === source.host && status.source.port === source.port);
  if (!follows) return 'silent';
  return status.ioThread === 'running' ? 'hears' : 'deaf';
}
