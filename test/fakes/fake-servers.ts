import {
  type Address,
  AdminError,
  type ManagedServer,
  type Replication,
} from '../../src/fabric/replication/replication.js';

/** MySQL servers that exist only here: enough of them for the node's commands, without replication taking place. */
export interface FakeServer {
  readonly uuid: string;
  readonly port: number;
  up: boolean;
  readOnly: boolean;
  executed: string;
  source: Address | null;
  sourceUuid: string;
  io: 'running' | 'connecting' | 'stopped';
  sql: 'running' | 'stopped';
  ioError: string;
  sqlError: string;
  /** Epoch ms. */
  startedAt: number;
}

export interface FakeServers extends Replication {
  add(uuid: string, port: number, change?: Partial<FakeServer>): FakeServer;
  get(port: number): FakeServer;
  /** Sessions that are open now. */
  readonly open: number;
}

export function createFakeServers(): FakeServers {
  const servers = new Map<number, FakeServer>();
  const sessions = new Set<ManagedServer>();
  const get = (port: number) => {
    const server = servers.get(port);
    if (!server) throw new Error(`no fake server has port ${port}`);
    return server;
  };
  return {
    get open() {
      return sessions.size;
    },
    get,
    add(uuid, port, change = {}) {
      const server: FakeServer = {
        uuid,
        port,
        up: true,
        readOnly: true,
        executed: '',
        source: null,
        sourceUuid: '',
        io: 'stopped',
        sql: 'stopped',
        ioError: '',
        sqlError: '',
        startedAt: Date.now(),
        ...change,
      };
      servers.set(port, server);
      return server;
    },
    async connect(address) {
      const server = servers.get(address.port);
      if (!server?.up)
        throw new AdminError(`Can't connect to ${address.host}:${address.port}`, address, 'ECONNREFUSED', true);
      const session: ManagedServer = createSession(server, address, {
        sourceUuid: source => servers.get(source.port)?.uuid ?? '',
        closed: () => sessions.delete(session),
      });
      sessions.add(session);
      return session;
    },
  };
}

interface Surroundings {
  sourceUuid(source: Address): string;
  closed(): void;
}

function createSession(server: FakeServer, address: Address, around: Surroundings): ManagedServer {
  const set = (change: Partial<FakeServer>) => async () => {
    if (!server.up) throw new AdminError('Connection lost', address, 'PROTOCOL_CONNECTION_LOST', true);
    Object.assign(server, change);
  };
  return {
    address,
    async identity() {
      return { uuid: server.uuid, version: '8.0.36', readOnly: server.readOnly, superReadOnly: server.readOnly };
    },
    uptime: async () => Math.floor((Date.now() - server.startedAt) / 1_000),
    requirementIssues: async () => [],
    executed: async () => server.executed,
    async replicaStatus() {
      if (!server.source) return null;
      return {
        source: server.source,
        sourceUuid: server.sourceUuid,
        ioThread: server.io,
        sqlThread: server.sql,
        ioError: server.ioError,
        sqlError: server.sqlError,
        ioErrno: server.ioError === '' ? 0 : 2003,
        sqlErrno: server.sqlError === '' ? 0 : 1062,
        retrieved: '',
        delay: 0,
        secondsBehind: 0,
      };
    },
    fence: set({ readOnly: true }),
    killClients: async () => 0,
    unfence: set({ readOnly: false }),
    follow: source =>
      set({ source, sourceUuid: around.sourceUuid(source), readOnly: true, io: 'running', sql: 'running' })(),
    stopReplication: set({ io: 'stopped', sql: 'stopped' }),
    stopReceiving: set({ io: 'stopped' }),
    startReceiving: set({ io: 'running' }),
    startApplying: set({ sql: 'running' }),
    isIdle: async () => true,
    forgetSource: set({ source: null, sourceUuid: '', io: 'stopped', sql: 'stopped' }),
    waitForExecuted: async () => true,
    setSemiSync: async () => {},
    semiSync: async () => null,
    ping: set({}),
    onLost() {},
    close: around.closed,
  };
}
