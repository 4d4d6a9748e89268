import type { ManagedServer, Replication } from '../../src/fabric/replication/replication.js';

/** Stands between a node and its servers. */

/** Calls `before` ahead of every call of a method on a server, `after` when it has succeeded. */
export function intercept(
  real: Replication,
  { before, after }: { before?: Interception; after?: Interception },
): Replication {
  return {
    async connect(address, timeout) {
      const server = await real.connect(address, timeout);
      const handler: ProxyHandler<ManagedServer> = {
        get(target, key) {
          const member: unknown = Reflect.get(target, key, target);
          if (typeof member !== 'function') return member;
          if (SYNCHRONOUS.has(String(key))) return member.bind(target);
          return async (...given: unknown[]) => {
            await before?.(address.port, String(key));
            const result: unknown = await member.apply(target, given);
            await after?.(address.port, String(key));
            return result;
          };
        },
      };
      return new Proxy(server, handler);
    },
  };
}

type Interception = (port: number, method: string) => Promise<void>;

const SYNCHRONOUS = new Set(['close', 'onLost']);
