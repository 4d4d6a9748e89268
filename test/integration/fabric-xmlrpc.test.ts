import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { Agent, request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startXmlRpc } from '../../src/fabric/endpoints/xmlrpc.js';
import { parseFabricOptions } from '../../src/fabric/options.js';
import { createFabric } from '../../src/fabric.js';
import { answer, parseChallenge } from '../../src/wire/digest.js';
import { decodeEnvelope, decodeServers } from '../../src/wire/reply.js';
import { decodeReply, encodeCall, type XmlRpcValue } from '../../src/wire/xmlrpc.js';
import { createFakeFabric, type FakeFabric, UUIDS } from '../fakes/fake-fabric.js';
import { capturedMessages } from '../tables/wire-captures.js';

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

interface Sending {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
  readonly agent?: Agent;
}

const [FIRST] = UUIDS;
const PING = encodeCall('manage.ping', []);

let node: FakeFabric;
beforeEach(async () => {
  node = await createFakeFabric();
});
afterEach(() => node.fabric.stop());

function send({ method = 'POST', path = '/RPC2', headers = {}, body = '', agent }: Sending): Promise<Answer> {
  const { host, port } = node.fabric.address.xmlrpc;
  return new Promise((resolve, reject) => {
    const options = {
      host,
      port,
      method,
      path,
      headers: { 'Content-Type': 'text/xml', ...headers },
      ...(agent && { agent }),
    };
    const request = httpRequest(options, response => {
      const chunks: Buffer[] = [];
      response.on('data', chunk => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: Buffer.concat(chunks).toString(),
        }),
      );
    });
    request.on('error', reject);
    request.end(body);
  });
}

interface Login {
  readonly user: string;
  readonly password: string;
}
const ADMIN: Login = { user: 'admin', password: 'secret' };

async function challenged(agent?: Agent) {
  const { status, headers } = await send({ ...(agent && { agent }) });
  expect(status).toBe(401);
  const challenge = parseChallenge(headers['www-authenticate'] ?? '');
  if (!challenge) throw new Error(`no challenge in ${headers['www-authenticate']}`);
  return challenge;
}

/** Each call asks for its own challenge, as the original's clients do. */
async function post(body: string, sending: Sending = {}, login = ADMIN): Promise<Answer> {
  const challenge = await challenged(sending.agent);
  const authorization = answer(challenge, { ...login, nc: 1 });
  return send({ ...sending, body, headers: { ...sending.headers, Authorization: authorization } });
}

const rpc = async (method: string, ...params: XmlRpcValue[]) =>
  decodeEnvelope(decodeReply((await post(encodeCall(method, params))).body));

async function faultOf(body: string): Promise<string> {
  const { status, headers, body: reply } = await post(body);
  expect(status).toBe(200);
  expect(headers['content-type']).toBe('text/xml');
  let fault: unknown;
  try {
    decodeReply(reply);
  } catch (error) {
    fault = error;
  }
  expect(fault).toMatchObject({ name: 'XmlRpcFault', code: 1 });
  return (fault as { text: string }).text;
}

describe('the captured calls', () => {
  /** What has to be done to the node before it can answer as the original did; a text replaces the uuid in the call. */
  const before: Readonly<Record<string, () => Promise<unknown>>> = {
    'group.create-dup.txt': () => node.fabric.call('group.create', 'g2'),
    'group.description.txt': () => node.fabric.call('group.create', 'g2'),
    'group.add.txt': () => node.fabric.call('group.remove', 'my_group', '127.0.0.1:34003'),
    'dump.servers-faulty.txt': () => node.fabric.call('threat.report_failure', '127.0.0.1:34003'),
    'event.wait_for_procedures.txt': async () =>
      (await rpc('group.create', 'g2', null, false)).resultSets[0]?.rows[0]?.[0],
    'statistics.group.txt': () => node.fabric.call('group.demote', 'my_group'),
    'statistics.procedure-one.txt': () => rpc('group.create', 'g2'),
  };
  const exchanges = capturedMessages().flatMap((message, index, all) => {
    const response = all[index + 1];
    if (message.kind !== 'request' || response?.kind !== 'response') return [];
    return response.startLine.includes(' 200 ')
      ? [{ file: message.file, request: message.body, response: response.body }]
      : [];
  });

  /**
   * Types of the envelope, columns, and the types of each kind of row: what a client sees of a reply besides the values.
   * @param widths how many columns of each set are looked at; ours may have more behind the original's.
   */
  function skeleton(xml: string, widths: readonly number[] = []) {
    const types = [...xml.matchAll(/<(int|i4|string|double|boolean|nil|base64|dateTime\.iso8601)\b/g)].map(
      ([, type]) => type,
    );
    const { error, resultSets } = decodeEnvelope(decodeReply(xml));
    const envelope = types.splice(0, 4);
    const sets = resultSets.map(({ columns, rows }, index) => {
      types.splice(0, columns.length);
      const cells = rows.map(() => types.splice(0, columns.length).slice(0, widths[index]).join(' '));
      return { columns: columns.slice(0, widths[index]), rowTypes: [...new Set(cells)] };
    });
    return { envelope, error, sets };
  }

  it('are many', () => {
    expect(exchanges.length).toBeGreaterThan(30);
  });

  it.each(exchanges)('$file', async ({ file, request, response }) => {
    const prepared = await before[file]?.();
    const reply = await post(typeof prepared === 'string' ? request.replace(/[0-9a-f-]{36}/, prepared) : request);
    expect(reply.status).toBe(200);
    expect(reply.headers['content-type']).toBe('text/xml');
    if (response.includes('<fault>')) {
      const words = /method "[\w.]+" is not supported/.exec(response)?.[0] ?? '';
      expect(await faultOf(request)).toContain(words);
    } else {
      expect(reply.body).not.toMatch(/<value>\s+<|<nil/);
      const expected = skeleton(response);
      // The endpoint speaking the MySQL protocol is not there, so its row is missing; the columns and types are the same.
      const widths = expected.sets.map(({ columns }) => columns.length);
      expect(skeleton(reply.body, widths)).toEqual(expected);
    }
  });
});

describe('authentication', () => {
  it('challenges whoever comes without it, and lets in who knows the password', async () => {
    const { status, headers, body } = await send({ body: PING });
    expect([status, body]).toEqual([401, '']);
    expect(headers['www-authenticate']).toMatch(
      /^Digest realm="MySQL Fabric", nonce="[^"=,]+", algorithm="MD5", opaque="[^"=,]+", qop="auth"$/,
    );
    expect((await post(PING)).status).toBe(200);
  });

  it('agrees with a digest that is computed by hand', async () => {
    const md5 = (text: string) => createHash('md5').update(text).digest('hex');
    const { nonce, opaque } = await challenged();
    const ha1 = md5('admin:MySQL Fabric:secret');
    const response = md5(`${ha1}:${nonce}:00000001:cafe:auth:${md5('POST:/RPC2')}`);
    // Connector/J's form: qop and nc without quotes.
    const fields = `username="admin", realm="MySQL Fabric", nonce="${nonce}", uri="/RPC2", qop=auth, nc=00000001, cnonce="cafe"`;
    const authorization = `Digest ${fields}, response="${response}", opaque="${opaque}"`;
    expect((await send({ body: PING, headers: { Authorization: authorization } })).status).toBe(200);
    expect((await send({ body: PING, headers: { Authorization: authorization } })).status).toBe(401);
  });

  it('lets one nonce be used again, with a growing count', async () => {
    const challenge = await challenged();
    for (const [nc, status] of [
      [1, 200],
      [2, 200],
      [7, 200],
      [7, 401],
      [8, 200],
    ] as const) {
      const Authorization = answer(challenge, { ...ADMIN, nc });
      expect((await send({ body: PING, headers: { Authorization } })).status).toBe(status);
    }
  });

  it('answers wrong credentials with 400, as the original', async () => {
    for (const login of [
      { user: 'admin', password: 'wrong' },
      { user: 'nobody', password: 'secret' },
    ]) {
      const { status, headers } = await post(PING, {}, login);
      expect(status).toBe(400);
      expect(headers['www-authenticate']).toBeUndefined();
    }
  });

  it.each(['Digest', 'Digest username="admin"', 'Digest nonsense'])('refuses %j', async Authorization => {
    expect((await send({ body: PING, headers: { Authorization } })).status).toBe(400);
  });

  it('challenges a client that tries Basic', async () => {
    const Authorization = `Basic ${Buffer.from('admin:secret').toString('base64')}`;
    expect((await send({ body: PING, headers: { Authorization } })).status).toBe(401);
  });

  it('takes the path / too', async () => {
    expect((await post(PING, { path: '/' })).status).toBe(200);
  });

  it('can be switched off', async () => {
    await node.fabric.stop();
    node = await createFakeFabric({ protocol: { xmlrpc: { address: '127.0.0.1:0', disableAuthentication: true } } });
    expect((await send({ body: PING })).status).toBe(200);
  });

  it('is needed even to learn that there is no such method', async () => {
    expect((await send({ body: encodeCall('_some_nonexisting_method', []) })).status).toBe(401);
  });
});

describe('generic clients', () => {
  it('are told what there is, as plain values', async () => {
    const told = async (method: string, ...params: string[]) =>
      decodeReply((await post(encodeCall(method, params))).body);
    expect(await told('system.listMethods')).toContain('group.add');
    expect(await told('system.methodHelp', 'manage.ping')).toBe('Check whether the node answers.');
    expect(await told('system.methodSignature', 'manage.ping')).toEqual([['array']]);
    expect(await faultOf(encodeCall('system.methodHelp', ['group.nosuch']))).toBe(
      'method "group.nosuch" is not supported',
    );
  });
});

describe('calls that are none', () => {
  it('are answered with fault 1', async () => {
    expect(await faultOf(encodeCall('_some_nonexisting_method', []))).toBe(
      'method "_some_nonexisting_method" is not supported',
    );
    expect(await faultOf(encodeCall('group.nosuch', []))).toBe('method "group.nosuch" is not supported');
    expect(await faultOf(encodeCall('nodot', []))).toBe('method "nodot" is not supported');
    expect(await faultOf(encodeCall('constructor', []))).toBe('method "constructor" is not supported');
  });

  it.each([
    '',
    'x',
    '<?xml version="1.0"?><methodCall><methodName>dump.servers</methodName><params><param>',
    '<!DOCTYPE x [<!ENTITY a "b">]><methodCall><methodName>&a;</methodName></methodCall>',
    '<methodResponse><params/></methodResponse>',
    `${'<value><array><data>'.repeat(10_000)}`,
    '\u0000\u0001',
  ])('even when they are not XML-RPC (%#)', async body => {
    expect(await faultOf(body)).not.toBe('');
  });

  it('have their arguments counted in the error slot', async () => {
    expect(await rpc('group.add', 'my_group')).toMatchObject({
      error: 'group.add() takes at least 2 arguments (1 given)',
      resultSets: [],
    });
    expect(await rpc('manage.ping', 1)).toMatchObject({ error: 'manage.ping() takes at most 0 arguments (1 given)' });
  });
});

describe('HTTP', () => {
  it.each(['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS'])('%s is not implemented', async method => {
    expect((await send({ method })).status).toBe(501);
  });

  it.each(['/RPC3', '/RPC2/', '/RPC2?x', '/rpc2', '/../RPC2'])('there is nothing at %s', async path => {
    expect((await send({ path, body: PING })).status).toBe(404);
  });

  it('refuses a body that is too large, announced or not', async () => {
    const body = 'x'.repeat(1024 * 1024 + 1);
    expect((await post(body)).status).toBe(413);
    expect((await post(body, { headers: { 'Transfer-Encoding': 'chunked' } })).status).toBe(413);
    expect((await post(PING)).status).toBe(200);
  });

  it('refuses heads that are too large', async () => {
    expect((await send({ headers: { 'X-Long': 'x'.repeat(20_000) } })).status).toBe(431);
  });

  it('keeps a connection for the next call', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const sockets = new Set<unknown>();
    agent.on('free', socket => sockets.add(socket));
    for (let n = 0; n < 5; n += 1) expect((await post(PING, { agent })).status).toBe(200);
    expect(sockets.size).toBe(1);
    agent.destroy();
  });

  it('answers many at once, each with its own', async () => {
    const names = Array.from({ length: 60 }, (_, n) => `group-${n}`);
    await Promise.all(names.map(name => rpc('group.create', name)));
    const replies = await Promise.all(names.map(name => rpc('group.lookup_groups', name)));
    expect(replies.map(({ resultSets }) => resultSets[0]?.rows[0]?.[0])).toEqual(names);
  });

  it('says when the name is one that no other client can have', async () => {
    expect((await rpc('group.create', 'ä ]]> <b>')).error).toMatch(
      /^GroupError: Group identifier \(ä \]\]> <b>\) must/,
    );
  });
});

describe('remembered answers', () => {
  it('are forgotten as soon as something changes', async () => {
    const weightOf = async () =>
      decodeServers(await rpc('dump.servers', 0, 'my_group')).find(s => s.uuid === FIRST)?.weight;
    expect(await weightOf()).toBe(1);
    expect(await weightOf()).toBe(1);
    await rpc('server.set_weight', FIRST, 0.5);
    expect(await weightOf()).toBe(0.5);
    await node.fabric.call('server.set_weight', FIRST, 0.25);
    expect(await weightOf()).toBe(0.25);
  });

  it('are told apart by their arguments', async () => {
    const count = async (...args: XmlRpcValue[]) => (await rpc('dump.servers', ...args)).resultSets[0]?.rows.length;
    for (let n = 0; n < 2; n += 1) {
      expect(await count()).toBe(3);
      expect(await count(0, 'my_group')).toBe(3);
      expect(await count(0, 'other')).toBe(0);
    }
  });
});

describe('slow clients', () => {
  const impatient = { headersTimeout: 0.2, requestTimeout: 0.4, idleTimeout: 0.2 };

  async function withEndpoint(work: (open: (head: string) => Promise<Socket>) => Promise<void>): Promise<void> {
    const context = { log: { debug() {}, info() {}, warn() {}, error() {} }, options: { connector: { ttl: 1 } } };
    const given = { address: '127.0.0.1:0', disableAuthentication: true, ...impatient };
    const { xmlrpc } = parseFabricOptions({ servers: { password: 'x' }, protocol: { xmlrpc: given } }).protocol;
    const parts = { ...context, commands: new Map(), store: { revision: 0 } };
    const endpoint = await startXmlRpc(xmlrpc, parts as never);
    endpoint.open();
    const open = async (head: string) => {
      const socket = connect(endpoint.address.port, endpoint.address.host);
      await once(socket, 'connect');
      socket.on('error', () => {});
      socket.resume();
      socket.write(head);
      return socket;
    };
    await work(open).finally(() => endpoint.stop(0));
  }

  it.each([
    ['say nothing', ''],
    ['send half a head', 'POST /RPC2 HTTP/1.1\r\nHost: x\r\n'],
    ['send half a body', 'POST /RPC2 HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc'],
    ['stay after an answer', 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'],
  ])('that %s are let go', async (_what, head) => {
    await withEndpoint(async open => {
      const socket = await open(head);
      const started = performance.now();
      await once(socket, 'close');
      expect(performance.now() - started).toBeLessThan(5_000);
    });
  });

  it('cost the others nothing', async () => {
    const { host, port } = node.fabric.address.xmlrpc;
    const idle = await Promise.all(
      Array.from({ length: 300 }, async (_, n) => {
        const socket = connect(port, host);
        await once(socket, 'connect');
        if (n % 2) socket.write('POST /RPC2 HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n');
        return socket;
      }),
    );
    const started = performance.now();
    expect((await rpc('dump.servers')).error).toBe('');
    expect(performance.now() - started).toBeLessThan(1_000);
    for (const socket of idle) socket.destroy();
  });
});

describe('start and stop', () => {
  const options = { servers: { password: 'x' }, protocol: { xmlrpc: { address: '127.0.0.1:0', password: 'secret' } } };

  it('may both be called twice, in any order', async () => {
    const fabric = createFabric(options);
    await fabric.stop();
    await Promise.all([fabric.start(), fabric.start()]);
    const { address } = fabric;
    await fabric.start();
    expect(fabric.address).toEqual(address);
    expect(address.xmlrpc).toEqual({ host: '127.0.0.1', port: expect.any(Number) });
    expect(address.xmlrpc.port).toBeGreaterThan(0);
    expect((await fabric.call('manage.ping')).resultSets).toEqual([]);
    await Promise.all([fabric.stop(), fabric.stop()]);
    await fabric.stop();
    await expect(fabric.call('manage.ping')).rejects.toThrow(/not running/);
    await fabric.start();
    expect((await fabric.call('dump.fabric_nodes')).rows).toHaveLength(1);
    await fabric.stop();
  });

  it('say when the address is taken, and can be tried again', async () => {
    const { host, port } = node.fabric.address.xmlrpc;
    const other = createFabric({ ...options, protocol: { xmlrpc: { address: `${host}:${port}`, password: 'x' } } });
    await expect(other.start()).rejects.toMatchObject({ code: 'EADDRINUSE' });
    await node.fabric.stop();
    await other.start();
    await other.stop();
  });

  it('leaves nothing open, whatever is under way', async () => {
    const { host, port } = node.fabric.address.xmlrpc;
    const idle = connect(port, host);
    await once(idle, 'connect');
    const agent = new Agent({ keepAlive: true });
    await post(PING, { agent });
    const calls = Array.from({ length: 20 }, (_, n) => rpc('group.create', `g${n}`).catch(() => null));
    await new Promise(resolve => setTimeout(resolve, 5));
    const started = performance.now();
    const closed = once(idle, 'close');
    await node.fabric.stop();
    expect(performance.now() - started).toBeLessThan(5_000);
    await closed;
    await Promise.all(calls);
    // On a connection of its own: an agent could hand out one that has not noticed yet.
    await expect(once(connect(port, host), 'connect')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    agent.destroy();
  });

  it('lets a call end that was under way', async () => {
    let letAnswer = () => {};
    const mayAnswer = new Promise<void>(resolve => {
      letAnswer = resolve;
    });
    const connectTo = node.servers.connect;
    node.servers.connect = async (address, timeout) => {
      await mayAnswer;
      return connectTo(address, timeout);
    };
    const reply = rpc('server.lookup_uuid', '127.0.0.1:34002');
    await new Promise(resolve => setTimeout(resolve, 100));
    const stopped = node.fabric.stop();
    letAnswer();
    expect((await reply).resultSets[0]?.rows).toEqual([[FIRST]]);
    await stopped;
  });
});
