import { channel } from 'node:diagnostics_channel';
import { EventEmitter, once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Announcer } from '../../../src/client/events.js';
import {
  createPool,
  type FabricEventName,
  type FabricEvents,
  type FabricPool,
  type FabricPoolOptions,
} from '../../../src/index.js';
import { connect } from '../../../src/promise.js';
import type { Topology } from '../../../src/wire/topology.js';
import { type ScriptedMysql, startScriptedMysql } from '../../fakes/scripted-mysql.js';
import { aServer, type ScriptedNode, startScriptedNode } from '../../fakes/scripted-node.js';

/** What pools, connections and diagnostics channels tell, when servers and nodes do what each test says. */

const EVENTS = [
  'topology',
  'failover',
  'server-up',
  'server-down',
  'pool-saturated',
  'pool-relieved',
  'pool-drained',
] as const;

let node: ScriptedNode;
let primary: ScriptedMysql;
let secondary: ScriptedMysql;
let pools: FabricPool[] = [];

beforeEach(async () => {
  [node, primary, secondary] = await Promise.all([startScriptedNode(), startScriptedMysql(), startScriptedMysql()]);
  node.servers = [aServer(primary.port), aServer(secondary.port, { status: 2, mode: 1 })];
});
afterEach(async () => {
  await Promise.all(pools.map(pool => pool.promise().end()));
  pools = [];
  await Promise.all([node.close(), primary.close(), secondary.close()]);
});

const optionsFor = (options: Partial<FabricPoolOptions> = {}): FabricPoolOptions => ({
  fabric: { host: '127.0.0.1', port: node.port },
  user: 'app',
  password: 'a-password',
  group: 'g',
  ttl: 0.02,
  ...options,
});

function create(options: Partial<FabricPoolOptions> = {}): FabricPool {
  const pool = createPool(optionsFor(options));
  pools.push(pool);
  return pool;
}

type Told = { [Name in FabricEventName]: { name: Name; detail: FabricEvents[Name] } }[FabricEventName];

/** All that is told, in order. */
function listen(emitter: Pick<FabricPool, 'on'>): Told[] {
  const told: Told[] = [];
  for (const name of EVENTS) emitter.on(name, detail => told.push({ name, detail } as Told));
  return told;
}

const names = (told: readonly Told[]) => told.map(({ name }) => name);
const of = <Name extends FabricEventName>(told: readonly Told[], name: Name): FabricEvents[Name][] =>
  told.filter(each => each.name === name).map(({ detail }) => detail as FabricEvents[Name]);

/** Runs statements until the events say what is waited for. */
const until = (pool: Pick<FabricPool, 'query'>, expectation: () => void) =>
  vi.waitFor(
    async () => {
      await new Promise(resolve => pool.query('SELECT 1', resolve));
      expectation();
    },
    { timeout: 10_000, interval: 20 },
  );

const swapRoles = (): void => {
  node.servers = [aServer(primary.port, { status: 2, mode: 1 }), aServer(secondary.port)];
};

describe('a pool tells', () => {
  it('of the topology when it learns of the group, and of each change', async () => {
    const pool = create();
    const told = listen(pool);
    await until(pool, () => expect(names(told)).toEqual(['topology']));
    expect(of(told, 'topology')[0]).toMatchObject({ group: 'g', before: null, added: node.servers, removed: [] });
    const [first] = node.servers;
    const third = aServer(1, { status: 1, mode: 0 });
    node.servers = [{ ...(first as (typeof node.servers)[0]), weight: 0.5 }, third];
    await until(pool, () => expect(of(told, 'topology')).toHaveLength(2));
    const { added, removed, changed, before } = of(told, 'topology')[1] as FabricEvents['topology'];
    expect([added, removed, changed].map(servers => servers.map(({ port }) => port))).toEqual([
      [1],
      [secondary.port],
      [primary.port],
    ]);
    expect(before?.servers).toHaveLength(2);
    expect(of(told, 'server-down')).toMatchObject([{ server: { port: secondary.port }, reason: 'not-listed' }]);
    expect(of(told, 'server-up')).toMatchObject([{ server: { port: 1 } }]);
  });

  it('of a failover, also when nobody was the primary for a while, and once', async () => {
    const pool = create({ mode: 'READONLY' });
    const told = listen(pool);
    await until(pool, () => expect(names(told)).toEqual(['topology']));
    node.servers = [aServer(secondary.port, { status: 2, mode: 1 })];
    await until(pool, () => expect(of(told, 'topology')).toHaveLength(2));
    expect(of(told, 'failover')).toEqual([]);
    node.servers = [aServer(secondary.port)];
    await until(pool, () => expect(of(told, 'failover')).toHaveLength(1));
    expect(of(told, 'failover')).toMatchObject([
      { group: 'g', from: { port: primary.port }, to: { port: secondary.port } },
    ]);
  });

  it('of a server that cannot be connected to, once, and when it can again', async () => {
    const pool = create({ failoverTimeout: 50 });
    const told = listen(pool);
    const { port } = primary;
    await primary.close();
    await until(pool, () => expect(of(told, 'server-down')).toHaveLength(1));
    expect(of(told, 'server-down')).toMatchObject([{ server: { port }, reason: 'unreachable', code: 'ECONNREFUSED' }]);
    primary = await startScriptedMysql(port);
    await until(pool, () => expect(of(told, 'server-up')).toHaveLength(1));
    expect(of(told, 'server-down')).toHaveLength(1);
  });

  it('of a saturated server, once, and of its relief', async () => {
    const held: (() => void)[] = [];
    primary.script = (_sql, answer) => void held.push(() => answer.ok());
    const pool = create({ connectionLimit: 1, queueLimit: 1, ttl: 60 });
    const told = listen(pool);
    const running = [1, 2, 3, 4].map(each => pool.promise().query(`SELECT ${each}`));
    const refused = await Promise.allSettled(running.slice(2));
    expect(refused.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    await vi.waitFor(() => expect(of(told, 'pool-saturated')).toHaveLength(1));
    expect(of(told, 'pool-saturated')[0]).toMatchObject({
      server: { port: primary.port },
      code: 'FABRIC_QUEUE_LIMIT',
    });
    primary.script = (_sql, answer) => answer.ok();
    await vi.waitFor(() => expect(held).toHaveLength(1));
    held[0]?.();
    await Promise.all(running.slice(0, 2));
    await vi.waitFor(() => expect(of(told, 'pool-relieved')).toHaveLength(1), { timeout: 5_000 });
    expect(of(told, 'pool-saturated')).toHaveLength(1);
  });

  it('of callers that wait for long', async () => {
    let release = (): void => {};
    primary.script = (_sql, answer) => {
      release = () => answer.ok();
    };
    const pool = create({ connectionLimit: 1, ttl: 60 });
    const told = listen(pool);
    const running = [1, 2].map(each => pool.promise().query(`SELECT ${each}`));
    await vi.waitFor(() => expect(of(told, 'pool-saturated')).toMatchObject([{ code: null }]), { timeout: 8_000 });
    primary.script = (_sql, answer) => answer.ok();
    release();
    await Promise.all(running);
  });

  it('when the last connection to a server that left has ended', async () => {
    const pool = create();
    const told = listen(pool);
    await until(pool, () => expect(names(told)).toEqual(['topology']));
    node.servers = [aServer(secondary.port)];
    await until(pool, () => expect(of(told, 'pool-drained')).toHaveLength(1));
    expect(of(told, 'pool-drained')).toMatchObject([{ server: { port: primary.port } }]);
  });
});

it('a server that is down or gone is told of once, whatever fails to connect to it later, and again when it was back', async () => {
  const emitter = new EventEmitter();
  const announcer = new Announcer();
  announcer.tellBy(emitter);
  const told: string[] = [];
  emitter.on('server-down', ({ reason }) => told.push(reason));
  emitter.on('server-up', () => told.push('up'));
  const [one, other] = [aServer(1), aServer(2, { status: 2, mode: 1 })];
  const whole: Topology = { group: 'g', fabricUuid: '', ttl: 1, servers: [one, other] };
  const without: Topology = { ...whole, servers: [one] };
  const refused = Object.assign(new Error(), { code: 'ECONNREFUSED' });
  const heard = async (happens: () => void): Promise<string[]> => {
    happens();
    await new Promise(setImmediate);
    return told.splice(0);
  };
  expect(await heard(() => announcer.topologyChanged(whole, undefined))).toEqual([]);
  expect(await heard(() => announcer.topologyChanged(without, whole))).toEqual(['not-listed']);
  expect(await heard(() => announcer.unreachable(other, refused))).toEqual([]);
  expect(await heard(() => announcer.topologyChanged(whole, without))).toEqual(['up']);
  expect(await heard(() => announcer.unreachable(other, refused))).toEqual(['unreachable']);
  expect(await heard(() => announcer.unreachable(other, refused))).toEqual([]);
  expect(await heard(() => announcer.topologyChanged(without, whole))).toEqual([]);
  expect(await heard(() => announcer.topologyChanged(whole, without))).toEqual(['up']);
  expect(await heard(() => announcer.connected(other))).toEqual([]);
  expect(await heard(() => announcer.unreachable(other, refused))).toEqual(['unreachable']);
  expect(await heard(() => announcer.connected(other))).toEqual(['up']);
});

describe('listeners', () => {
  it('hear the same on the promise side, for as long as they listen', async () => {
    const pool = create();
    const promised = pool.promise();
    const told: string[] = [];
    const listener = ({ group }: FabricEvents['topology']) => told.push(group);
    promised.on('topology', listener);
    await until(pool, () => expect(told).toEqual(['g']));
    promised.off('topology', listener);
    expect(pool.listenerCount('topology')).toBe(0);
    promised.once('failover', ({ to }) => told.push(to.uuid));
    swapRoles();
    await until(pool, () => expect(told).toEqual(['g', `server-${secondary.port}`]));
    expect(pool.listenerCount('failover')).toBe(0);
  });

  it('hear it of a connection too', async () => {
    const connection = connect(optionsFor());
    const heard = once(connection, 'failover');
    await connection.query('SELECT 1');
    swapRoles();
    while (connection.server?.port !== secondary.port) await connection.query('SELECT 1');
    expect((await heard)[0]).toMatchObject({ to: { port: secondary.port } });
    await connection.end();
  });

  it('that throw are a warning, and nobody is the worse for it', async () => {
    const pool = create();
    const warned = once(process, 'warning');
    pool.on('topology', () => {
      throw new Error('of the application');
    });
    const told = listen(pool);
    await pool.promise().query('SELECT 1');
    expect((await warned)[0]).toMatchObject({ name: 'FabricListenerWarning' });
    expect(String((await warned)[0])).toContain('of the application');
    await until(pool, () => expect(names(told)).toEqual(['topology']));
  });
});

describe('diagnostics channels', () => {
  it('say what happens, without SQL, values and passwords', async () => {
    const published: { name: string; message: unknown }[] = [];
    const subscriptions = [...EVENTS, 'route', 'error'].map(each => {
      const name = `mysql2-fabric:${each}`;
      const hear = (message: unknown) => published.push({ name, message });
      return { on: channel(name), hear };
    });
    for (const { on, hear } of subscriptions) on.subscribe(hear);
    primary.script = (sql, answer) => {
      if (sql.startsWith('SELECT')) answer.ok();
      else answer.error(1062, '23000', "Duplicate entry 'a-secret' for key");
    };
    const pool = create();
    await expect(pool.promise().query('INSERT INTO t VALUES (?)', ['a-secret'])).rejects.toThrow('Duplicate');
    swapRoles();
    const heard = (name: string) =>
      published.filter(each => each.name === `mysql2-fabric:${name}`).map(({ message }) => message);
    await until(pool, () => expect(heard('failover')).toHaveLength(1));
    for (const { on, hear } of subscriptions) on.unsubscribe(hear);
    expect(heard('route')[0]).toEqual({ group: 'g', mode: 3, server: aServer(primary.port), retries: 0 });
    expect(heard('error')).toMatchObject([
      { group: 'g', mode: 3, outcome: 'answered', code: 'ER_DUP_ENTRY', errno: 1062, retried: false },
    ]);
    expect(heard('topology')).toHaveLength(2);
    expect(JSON.stringify(published)).not.toMatch(/a-secret|a-password|INSERT/);
  });
});
