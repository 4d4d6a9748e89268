import { type Address, AdminError, type ManagedServer, type Replication } from '../replication/replication.js';

/** The sessions of one run: each server is connected once and kept, so that nothing is slow while writes are blocked. */
export interface Sessions {
  /**
   * The session on that server; opened when there is none or it was lost.
   * @param within ms to wait for the connection.
   * @param callTimeout ms for each call on it, when it is opened by this.
   * @throws AdminError
   */
  to(address: Address, within: number, callTimeout?: number): Promise<ManagedServer>;
  /** Closes all of them, and each one that is still being opened as soon as it is. */
  close(): void;
}

const CALL_TIMEOUT = 5_000;

export function createSessions(replication: Replication): Sessions {
  const open = new Map<string, Promise<ManagedServer>>();
  let closed = false;

  const connect = async (key: string, address: Address, timeout: number): Promise<ManagedServer> => {
    const server = await replication.connect(address, timeout);
    if (closed) {
      server.close();
      throw new AdminError('the procedure has ended', address, 'ECONNABORTED', true);
    }
    server.onLost(() => open.delete(key));
    return server;
  };

  return {
    async to(address, within, callTimeout = CALL_TIMEOUT) {
      if (closed) throw new AdminError('the procedure has ended', address, 'ECONNABORTED', true);
      const key = `${address.host}:${address.port}`;
      const session = open.get(key) ?? connect(key, address, Math.max(within, callTimeout));
      open.set(key, session);
      session.catch(() => {
        if (open.get(key) === session) open.delete(key);
      });
      return await orTimeout(session, address, within);
    },
    close() {
      closed = true;
      for (const session of open.values()) {
        session.then(
          server => server.close(),
          () => {},
        );
      }
      open.clear();
    },
  };
}

async function orTimeout(session: Promise<ManagedServer>, address: Address, within: number): Promise<ManagedServer> {
  let timer: NodeJS.Timeout | undefined;
  const guard = new Promise<never>((_, reject) => {
    const late = () => reject(new AdminError(`no answer within ${within} ms`, address, 'ETIMEDOUT', true));
    timer = setTimeout(late, within);
  });
  try {
    return await Promise.race([session, guard]);
  } finally {
    clearTimeout(timer);
  }
}
