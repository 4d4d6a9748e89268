import mysql, { type RowDataPacket } from 'mysql2/promise';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { answer, parseChallenge } from '../../src/wire/digest.js';
import { decodeEnvelope } from '../../src/wire/reply.js';
import { decodeReply, encodeCall, type XmlRpcValue } from '../../src/wire/xmlrpc.js';
import { createFakeFabric, type FakeFabric } from '../fakes/fake-fabric.js';

/** Who may call what, by both protocols, with users of the state store. */

const PROTOCOL = {
  xmlrpc: { address: '127.0.0.1:0', password: 'secret' },
  mysql: { address: '127.0.0.1:0', password: 'secret' },
};

let node: FakeFabric;
beforeEach(async () => {
  node = await createFakeFabric({ protocol: PROTOCOL });
});
afterEach(() => node.fabric.stop());

const add = (user: string, roles: string, password: string | null = `${user}-pw`) =>
  node.fabric.call('user.add', user, null, roles, password);

function addresses() {
  const { xmlrpc, mysql: sql } = node.fabric.address;
  if (!sql) throw new Error('no endpoint');
  return { xmlrpc: `http://127.0.0.1:${xmlrpc.port}/RPC2`, mysql: { host: '127.0.0.1', port: sql.port } };
}

const post = (body: string, headers: Record<string, string> = {}) =>
  fetch(addresses().xmlrpc, { method: 'POST', body, headers: { 'Content-Type': 'text/xml', ...headers } });

async function login(user: string, password: string) {
  const { headers } = await post('');
  const challenge = parseChallenge(headers.get('www-authenticate') ?? '');
  if (!challenge) throw new Error('no challenge');
  return { Authorization: answer(challenge, { user, password, nc: 1 }) };
}

/** The HTTP status; what was answered too, where that is an envelope. */
async function call(user: string, password: string, method: string, ...params: XmlRpcValue[]) {
  const response = await post(encodeCall(method, params), await login(user, password));
  const body = await response.text();
  if (!body.includes('<params>')) return { status: response.status };
  const { error, resultSets } = decodeEnvelope(decodeReply(body));
  return { status: response.status, error, rows: resultSets[0]?.rows };
}
const statusOf = async (user: string, password: string, method: string, ...params: XmlRpcValue[]) =>
  (await call(user, password, method, ...params)).status;

/** The error that a CALL ends with: by errno, or by the message in its first set. */
async function callSql(user: string, password: string, sql: string) {
  const client = await mysql.createConnection({ ...addresses().mysql, user, password });
  try {
    const [sets] = await client.query<RowDataPacket[][] | RowDataPacket[]>(sql);
    const [info] = (Array.isArray(sets[0]) ? sets[0] : sets) as RowDataPacket[];
    return info?.message ?? null;
  } finally {
    client.destroy();
  }
}
const errnoOf = (work: Promise<unknown>) =>
  work.then(
    () => 0,
    ({ errno }: { errno: number }) => errno,
  );

describe('a role permits by both protocols', () => {
  const CALLS = [
    ['manage.ping', ''],
    ['group.lookup_groups', ''],
    ['group.description', "'my_group', 'x'"],
    ['server.set_weight', "'127.0.0.1:34002', '0.5'"],
    ['threat.report_error', "'127.0.0.1:34002'"],
    ['dump.servers', ''],
    ['user.list', ''],
    ['role.list', ''],
  ] as const;
  const MAY: Readonly<Record<string, readonly string[]>> = {
    superadmin: CALLS.map(([name]) => name),
    useradmin: ['user.list', 'role.list'],
    connector: ['threat.report_error', 'dump.servers'],
    monitor: ['manage.ping', 'group.lookup_groups', 'dump.servers', 'user.list', 'role.list'],
    '0': [],
    'useradmin, 3': ['user.list', 'role.list', 'threat.report_error', 'dump.servers'],
  };

  it.each(Object.entries(MAY))('%s', async (roles, may) => {
    await add('somebody', roles);
    for (const [name, args] of CALLS) {
      const params = args.split(', ').filter(Boolean);
      const expected = may.includes(name) ? [200, 0] : [403, 1370];
      const { status } = await call('somebody', 'somebody-pw', name, ...params.map(text => text.replaceAll("'", '')));
      const errno = await errnoOf(callSql('somebody', 'somebody-pw', `CALL ${name}(${args})`));
      expect([status, errno], name).toEqual(expected);
    }
  });

  it('also where the answer is one that is kept for others', async () => {
    await add('app', 'connector');
    await add('nobody', '0');
    expect(await statusOf('app', 'app-pw', 'dump.servers')).toBe(200);
    expect(await statusOf('nobody', 'nobody-pw', 'dump.servers')).toBe(403);
    expect(await statusOf('app', 'app-pw', 'dump.servers')).toBe(200);
  });

  it('and answers a method that is none with a fault, whoever asks', async () => {
    await add('nobody', '0');
    const response = await post(encodeCall('_some_nonexisting_method', []), await login('nobody', 'nobody-pw'));
    expect(response.status).toBe(200);
    expect(await response.text()).toContain('<fault>');
    expect(await errnoOf(callSql('nobody', 'nobody-pw', 'CALL no.such()'))).toBe(1106);
  });
});

describe('who may come in', () => {
  it('is challenged, refused, or not understood', async () => {
    await add('app', 'connector');
    const ping = encodeCall('dump.servers', []);
    expect((await post(ping)).status).toBe(401);
    expect((await post(ping, { Authorization: 'Basic YXBwOmFwcC1wdw==' })).status).toBe(401);
    expect((await post(ping, { Authorization: 'Digest username="app"' })).status).toBe(400);
    expect(await statusOf('app', 'wrong', 'dump.servers')).toBe(400);
    expect(await statusOf('stranger', 'app-pw', 'dump.servers')).toBe(400);
    expect(await statusOf('app', 'app-pw', 'dump.servers')).toBe(200);
    expect(await errnoOf(callSql('app', 'wrong', 'CALL dump.servers()'))).toBe(1044);
    expect(await errnoOf(callSql('stranger', 'app-pw', 'CALL dump.servers()'))).toBe(1044);
    expect(await callSql('app', 'app-pw', 'CALL dump.servers()')).toBeNull();
  });

  it('has a password, and is a user of that protocol', async () => {
    await node.fabric.call('user.add', 'blank', null, 'connector');
    await node.fabric.call('user.add', 'half', 'mysql', 'connector', 'pw');
    for (const password of ['', 'null', 'pw']) expect(await statusOf('blank', password, 'dump.servers')).toBe(400);
    expect(await errnoOf(callSql('blank', '', 'CALL dump.servers()'))).toBe(1044);
    expect(await statusOf('half', 'pw', 'dump.servers')).toBe(400);
    expect(await callSql('half', 'pw', 'CALL dump.servers()')).toBeNull();
  });

  it('is the account of the configuration, whatever the store has', async () => {
    await node.store.changeUsers(users => [...users, { name: 'admin', protocol: 'xmlrpc', password: null, roles: [] }]);
    expect(await statusOf('admin', 'secret', 'group.create', 'g')).toBe(200);
    const { rows } = await node.fabric.call('user.list');
    expect(rows).toEqual(
      ['xmlrpc', 'mysql'].map(protocol => ({
        ...{ username: 'admin', protocol, roles: 'superadmin' },
        ...{ has_password: true, configured: true },
      })),
    );
  });
});

it('the audit trail names who asked', async () => {
  await add('boss', 'superadmin');
  expect(await statusOf('boss', 'boss-pw', 'group.promote', 'my_group', '127.0.0.1:34002')).toBe(200);
  const askedBy = (await node.fabric.call('event.log', 'my_group')).rows.map(row => row.asked_by);
  expect(new Set(askedBy)).toEqual(new Set(['group.promote by boss']));
});

describe('a change of a user', () => {
  it('of its password counts at once, for both protocols', async () => {
    await add('app', 'connector');
    expect(await statusOf('app', 'app-pw', 'dump.servers')).toBe(200);
    const open = await mysql.createConnection({ ...addresses().mysql, user: 'app', password: 'app-pw' });
    expect(await statusOf('admin', 'secret', 'user.password', 'app', null, 'new')).toBe(200);
    expect(await statusOf('app', 'new', 'dump.servers')).toBe(200);
    expect(await callSql('app', 'new', 'CALL dump.servers()')).toBeNull();
    expect(await statusOf('app', 'app-pw', 'dump.servers')).toBe(400);
    expect(await errnoOf(callSql('app', 'app-pw', 'CALL dump.servers()'))).toBe(1044);
    // Who is in stays in, as in MySQL ...
    expect(await errnoOf(open.query('CALL dump.servers()'))).toBe(0);
    // ... until the user is gone.
    await node.fabric.call('user.delete', 'app');
    expect(await errnoOf(open.query('CALL dump.servers()'))).toBe(1370);
    expect(await statusOf('app', 'new', 'dump.servers')).toBe(400);
    open.destroy();
  });

  it('of its roles too', async () => {
    await add('app', 'connector');
    const open = await mysql.createConnection({ ...addresses().mysql, user: 'app', password: 'app-pw' });
    expect(await errnoOf(open.query('CALL group.lookup_groups()'))).toBe(1370);
    expect((await call('admin', 'secret', 'user.roles', 'app', null, 'monitor')).rows).toEqual([
      ['app', 'mysql', 'monitor', true, false],
      ['app', 'xmlrpc', 'monitor', true, false],
    ]);
    expect(await errnoOf(open.query('CALL group.lookup_groups()'))).toBe(0);
    expect(await statusOf('app', 'app-pw', 'group.lookup_groups')).toBe(200);
    open.destroy();
  });

  it('is kept from who manages users and no more, where it would make them more', async () => {
    await add('boss', 'superadmin');
    await add('clerk', 'useradmin');
    const clerk = async (method: string, ...params: XmlRpcValue[]) =>
      (await call('clerk', 'clerk-pw', method, ...params)).error;
    const kept = 'Only a superadmin may make or change a superadmin.';
    expect(await clerk('user.add', 'thief', null, 'superadmin', 'x')).toBe(kept);
    expect(await clerk('user.roles', 'clerk', null, '1')).toBe(kept);
    expect(await clerk('user.password', 'boss', null, 'x')).toBe(kept);
    expect(await clerk('user.roles', 'boss', null, '0')).toBe(kept);
    expect(await clerk('user.delete', 'boss')).toBe(kept);
    expect(await clerk('user.add', 'app', null, 'connector', 'x')).toBe('');
    expect(await statusOf('boss', 'boss-pw', 'group.create', 'g')).toBe(200);
    expect(await statusOf('app', 'x', 'dump.servers')).toBe(200);
  });
});

describe('a wrong password', () => {
  const timed = async (work: () => Promise<unknown>) => {
    const began = performance.now();
    await work();
    return performance.now() - began;
  };

  it('is answered late, later the second time, and nobody else waits', async () => {
    await add('app', 'connector');
    let told = false;
    const [first, second] = [
      await timed(() => statusOf('app', 'wrong', 'dump.servers')),
      await timed(() => statusOf('app', 'wrong', 'dump.servers')),
    ];
    // A timer may be a little early.
    expect(first).toBeGreaterThan(240);
    expect(second).toBeGreaterThan(490);
    const third = statusOf('app', 'wrong', 'dump.servers').then(() => {
      told = true;
    });
    expect(await statusOf('admin', 'secret', 'manage.ping')).toBe(200);
    expect(await statusOf('app', 'app-pw', 'dump.servers')).toBe(200);
    expect(told).toBe(false);
    await third;
  });

  it('is not what a challenge is, nor a nonce that was used', async () => {
    const ping = encodeCall('manage.ping', []);
    const used = await login('admin', 'secret');
    expect((await post(ping, used)).status).toBe(200);
    for (let n = 0; n < 20; n += 1) {
      expect((await post(ping)).status).toBe(401);
      expect((await post(ping, used)).status).toBe(401);
    }
    // Were these counted, it would be too crowded now to look at one that is wrong.
    expect(await statusOf('admin', 'wrong', 'manage.ping')).toBe(400);
  });

  it('of the MySQL protocol is answered late too', async () => {
    const wrong = () => errnoOf(callSql('admin', 'wrong', 'CALL manage.ping()'));
    expect(await timed(wrong)).toBeGreaterThan(240);
    expect(await timed(wrong)).toBeGreaterThan(490);
    expect(await callSql('admin', 'secret', 'CALL manage.ping()')).toBeNull();
  });

  it('given many times at once is answered without being looked at', async () => {
    const logins = await Promise.all(Array.from({ length: 24 }, () => login('admin', 'wrong')));
    const statuses = await Promise.all(logins.map(async headers => (await post('', headers)).status));
    expect(statuses.filter(status => status === 400).length).toBeGreaterThanOrEqual(16);
    expect([...new Set(statuses)].sort()).toEqual([400, 503]);
  });

  it('does not keep a node from stopping', async () => {
    const logins = await Promise.all(Array.from({ length: 7 }, () => login('admin', 'wrong')));
    const http = logins.map(headers =>
      post('', headers).then(
        ({ status }) => status,
        () => 0,
      ),
    );
    const sql = logins.map(() => errnoOf(callSql('admin', 'wrong', 'CALL manage.ping()')));
    // When the first is told, the others wait, the last ones for 4 s.
    await Promise.all([Promise.race(http), Promise.race(sql)]);
    expect(await timed(() => node.fabric.stop())).toBeLessThan(3_000);
    await Promise.all([...http, ...sql]);
  });
});
