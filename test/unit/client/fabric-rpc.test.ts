import type { AddressInfo } from 'node:net';
import { createServer, type Server as NetServer, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { FabricRpc } from '../../../src/client/fabric-rpc.js';
import { encodeFault } from '../../../src/wire/xmlrpc.js';
import { createFakeFabric } from '../../fakes/fake-fabric.js';
import { until } from '../../fakes/scripted-group.js';
import { aServer, replyBody, type ScriptedNode, serversBody, startScriptedNode } from '../../fakes/scripted-node.js';

const ACCOUNT = { user: 'admin', password: 'secret' };
const open: { close(): unknown }[] = [];

afterEach(async () => {
  await Promise.all(open.splice(0).map(each => each.close()));
});

async function startNode(change: Partial<ScriptedNode> = {}): Promise<ScriptedNode> {
  const node = await startScriptedNode();
  open.push(node);
  return Object.assign(node, { servers: [aServer(1)] }, change);
}

type Address = { port: number; user?: string; password?: string };

function rpcTo(addresses: readonly Address[], timeout = 1_000): FabricRpc {
  const nodes = addresses.map(({ port, user, password }) => ({ host: '127.0.0.1', port, user, password, tls: null }));
  const rpc = new FabricRpc(nodes, timeout);
  open.push(rpc);
  return rpc;
}

/** Answers each TCP connection by hand, as servers do that know no better. */
async function startRaw(serve: (socket: Socket, request: string, count: number) => void): Promise<{ port: number }> {
  let count = 0;
  const sockets = new Set<Socket>();
  const server: NetServer = createServer(socket => {
    sockets.add(socket);
    let text = '';
    socket.on('error', () => {});
    socket.on('data', chunk => {
      text += chunk.toString('latin1');
      if (text.includes('</methodCall>')) {
        count += 1;
        serve(socket, text, count);
        text = '';
      }
    });
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  open.push({
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  });
  return { port: (server.address() as AddressInfo).port };
}

it('asks each node once, also when another call has found out meanwhile which one answers', async () => {
  const hanging = await startNode({ script: () => true });
  const answering = await startNode({ servers: [aServer(1), aServer(2, { group: 'h' })] });
  const rpc = rpcTo([hanging, answering], 300);
  const first = rpc.topology('g');
  await until('it is asked', () => hanging.calls.length === 1);
  const second = rpc.topology('h');
  expect(await Promise.all([first, second])).toMatchObject([{ group: 'g' }, { group: 'h' }]);
  expect([hanging.calls.length, answering.calls.length]).toEqual([2, 2]);
});

const http = (status: string, body: string, headers = ''): string =>
  `HTTP/1.0 ${status}\r\ncontent-type: text/xml\r\n${headers}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;

describe('the topology', () => {
  it('is that of exactly the group, as the node knows it', async () => {
    const servers = [aServer(1), aServer(2, { group: 'gg' }), aServer(3, { status: 2, mode: 1, weight: 0.5 })];
    const node = await startNode({ servers, ttl: 7 });
    const topology = await rpcTo([node]).topology('g');
    expect(topology).toMatchObject({ group: 'g', ttl: 7, servers: [servers[0], servers[2]] });
    expect(node.calls).toEqual([{ method: 'dump.servers', params: [0, 'g'] }]);
  });

  it('is read from the real node', async () => {
    const { fabric } = await createFakeFabric();
    open.push({ close: () => fabric.stop() });
    const port = fabric.address.xmlrpc?.port ?? 0;
    const { servers } = await rpcTo([{ port, user: 'admin', password: 'secret' }]).topology('my_group');
    expect(servers.map(({ port, status, mode }) => [port, status, mode])).toEqual([
      [34_002, 2, 1],
      [34_003, 2, 1],
      [34_004, 3, 3],
    ]);
    const missing = await rpcTo([{ port, user: 'admin', password: 'secret' }]).topology('group');
    expect(missing.servers).toEqual([]); // not a pattern
    await expect(rpcTo([{ port, user: 'admin', password: 'wrong' }]).topology('g')).rejects.toMatchObject({
      code: 'FABRIC_UNREACHABLE',
      message: expect.stringContaining('admin'),
    });
  });
});

describe('authentication', () => {
  it('answers a challenge once, then uses its nonce again: one request per call on one connection', async () => {
    const node = await startNode({ account: ACCOUNT });
    const rpc = rpcTo([{ ...node, port: node.port, ...ACCOUNT }]);
    for (let n = 0; n < 5; n += 1) await rpc.topology('g');
    expect(node.calls).toHaveLength(5);
    expect(node.requests).toBe(6);
    expect(node.sockets.size).toBe(1);
  });

  it('works for many calls at once', async () => {
    const node = await startNode({ account: ACCOUNT });
    const rpc = rpcTo([{ port: node.port, ...ACCOUNT }]);
    await Promise.all(Array.from({ length: 30 }, () => rpc.topology('g')));
    await Promise.all(Array.from({ length: 30 }, () => rpc.topology('g')));
    expect(node.calls).toHaveLength(60);
  });

  it('answers again when the nonce is stale, also when the node was started anew', async () => {
    const node = await startNode({ account: ACCOUNT });
    const rpc = rpcTo([{ port: node.port, ...ACCOUNT }]);
    await rpc.topology('g');
    await node.close();
    const next = await startScriptedNode(node.port);
    open.push(next);
    Object.assign(next, { servers: [aServer(5)], account: ACCOUNT });
    expect((await rpc.topology('g')).servers).toMatchObject([{ port: 5 }]);
  });

  it('says who was refused, never the password', async () => {
    const node = await startNode({ account: ACCOUNT });
    const error = await rpcTo([{ port: node.port, user: 'admin', password: 'wr0ng!' }])
      .topology('g')
      .catch(caught => caught);
    expect(error).toMatchObject({ code: 'FABRIC_UNREACHABLE' });
    expect(error.message).toContain("'admin'");
    expect(`${error.stack}`).not.toContain('wr0ng!');
    const nobody = await rpcTo([{ port: node.port }])
      .topology('g')
      .catch(caught => caught);
    expect(nobody.message).toContain('asks for a user');
  });

  it('takes a new challenge for each call of an HTTP/1.0 node, which drops a nonce that it has seen', async () => {
    const nonces = new Set<string>();
    const { port } = await startRaw((socket, request, count) => {
      const nonce = /nonce="([^"]+)"/.exec(request)?.[1];
      if (nonce === undefined) {
        const challenge = `www-authenticate: Digest realm="MySQL Fabric", nonce="n${count}", algorithm="MD5", opaque="o", qop="auth"\r\n`;
        socket.end(http('401 Unauthorized', '', challenge));
      } else if (nonces.has(nonce) || !request.includes('nc=00000001')) {
        socket.end(); // an empty reply, as the original's
      } else {
        nonces.add(nonce);
        socket.end(http('200 OK', serversBody([aServer(1)])));
      }
    });
    const rpc = rpcTo([{ port, ...ACCOUNT }]);
    for (let n = 0; n < 3; n += 1) expect((await rpc.topology('g')).servers).toHaveLength(1);
    expect(nonces.size).toBe(3);
  });
});

describe('a node that fails', () => {
  it('is passed over for the next one, which is then asked first', async () => {
    const dead = await startNode();
    await dead.close();
    const node = await startNode();
    const rpc = rpcTo([dead, node]);
    await rpc.topology('g');
    const revived = await startScriptedNode(dead.port);
    open.push(revived);
    await rpc.topology('g');
    expect(node.calls).toHaveLength(2);
    expect(revived.calls).toHaveLength(0);
    await node.close();
    await rpc.topology('g');
    expect(revived.calls).toHaveLength(1);
  });

  it('is named, with the reason, when there is no other', async () => {
    const dead = await startNode();
    await dead.close();
    await expect(rpcTo([dead, dead]).topology('g')).rejects.toMatchObject({
      code: 'FABRIC_UNREACHABLE',
      message: expect.stringMatching(new RegExp(`127.0.0.1:${dead.port}: .*ECONNREFUSED.*; 127.0.0.1:${dead.port}: `)),
    });
  });

  it('is given up at the deadline: it never answers, or dribbles', async () => {
    const silent = await startRaw(() => {});
    const dribbling = await startRaw(socket => {
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n');
      setInterval(() => socket.write('x'), 20).unref();
    });
    for (const { port } of [silent, dribbling]) {
      const began = performance.now();
      await expect(rpcTo([{ port }], 200).topology('g')).rejects.toMatchObject({
        code: 'FABRIC_UNREACHABLE',
        message: expect.stringContaining('in time'),
      });
      expect(performance.now() - began).toBeLessThan(1_500);
    }
  });

  it('has one deadline for the challenge and the call together', async () => {
    const node = await startNode({ account: ACCOUNT });
    node.script = () => true; // never answers what is authorized
    const began = performance.now();
    await expect(rpcTo([{ port: node.port, ...ACCOUNT }], 300).topology('g')).rejects.toThrow('in time');
    expect(performance.now() - began).toBeLessThan(1_500);
  });

  it('is asked over a kept connection again and again without a warning', async () => {
    const warnings: Error[] = [];
    const hear = (warning: Error) => void warnings.push(warning);
    process.on('warning', hear);
    const rpc = rpcTo([await startNode()]);
    for (let n = 0; n < 20; n += 1) await rpc.topology('g');
    await new Promise(setImmediate);
    process.off('warning', hear);
    expect(warnings).toEqual([]);
  });

  it('may close a kept connection at any time: the call is sent once more', async () => {
    const node = await startNode();
    const rpc = rpcTo([node]);
    await rpc.topology('g');
    let dropped = 0;
    node.script = request => {
      if (dropped > 0) return false;
      dropped += 1;
      request.socket.destroy();
      return true;
    };
    await rpc.topology('g');
    expect(node.calls).toHaveLength(3);
  });

  it('has a change at most once: it may have arrived, so neither this node nor another is asked again', async () => {
    const node = await startNode({ account: ACCOUNT });
    node.script = ({ socket }, _response, { method }) => method === 'group.promote' && Boolean(socket.destroy());
    const other = await startNode();
    const rpc = rpcTo([{ port: node.port, ...ACCOUNT }, other]);
    await rpc.topology('g');
    await expect(rpc.ask('group.promote', ['g'], 'change')).rejects.toMatchObject({
      code: 'FABRIC_UNREACHABLE',
      cause: { code: 'ECONNRESET' },
    });
    expect(node.calls.filter(({ method }) => method === 'group.promote')).toHaveLength(1);
    expect(other.calls).toEqual([]);
  });

  it('is passed over for a change that cannot have arrived', async () => {
    const dead = await startNode();
    await dead.close();
    const stranger = await startNode({ account: ACCOUNT });
    const node = await startNode();
    await rpcTo([dead, { port: stranger.port, user: 'nobody' }, node]).ask('group.promote', ['g'], 'change');
    expect(node.calls).toEqual([{ method: 'group.promote', params: ['g'] }]);
  });

  it('has a report at most once; the next node has it too', async () => {
    const node = await startNode({ account: ACCOUNT });
    node.script = ({ socket }, _response, { method }) => method !== 'dump.servers' && Boolean(socket.destroy());
    const other = await startNode();
    const rpc = rpcTo([{ port: node.port, ...ACCOUNT }, other]);
    await rpc.topology('g');
    await rpc.reportError('s', 'me', 'lost');
    for (const { calls } of [node, other])
      expect(calls.filter(({ method }) => method === 'threat.report_error')).toHaveLength(1);
  });

  it('that refuses is said to refuse', async () => {
    const node = await startNode({ account: ACCOUNT });
    const asked = rpcTo([{ port: node.port, user: 'me', password: 'x' }]).ask('group.create', ['g'], 'change');
    await expect(asked).rejects.toThrow(
      /^The Fabric node refused group\.create: 127\.0\.0\.1:\d+: it refused user 'me'/,
    );
  });

  const ODD: readonly [name: string, status: string, body: () => string][] = [
    ['no XML at all', '200 OK', () => 'hello'],
    ['nothing', '200 OK', () => ''],
    ['XML cut short', '200 OK', () => replyBody().slice(0, 40)],
    ['another format', '200 OK', () => replyBody().replace('<int>1</int>', '<int>2</int>')],
    ['no result set', '200 OK', () => replyBody()],
    ['a server without a port', '200 OK', () => serversBody([aServer(1)]).replace('<string>port<', '<string>part<')],
    ['too much', '200 OK', () => 'x'.repeat(1_200_000)],
    ['not found', '404 Not Found', () => ''],
    ['trouble', '500 Internal Server Error', () => 'oops'],
    ['forbidden', '403 Forbidden', () => ''],
  ];

  it.each(ODD)('is passed over when it answers %s', async (_name, status, body) => {
    const odd = await startRaw(socket => socket.end(http(status, body())));
    await expect(rpcTo([odd]).topology('g')).rejects.toMatchObject({ code: 'FABRIC_UNREACHABLE' });
    const node = await startNode();
    expect((await rpcTo([odd, node]).topology('g')).servers).toHaveLength(1);
  });
});

describe('a node that refuses a command', () => {
  it('is believed: no other node is asked', async () => {
    for (const body of [replyBody({ error: 'No such group' }), encodeFault(1, 'No such group')]) {
      const node = await startNode();
      node.script = (_request, response) => {
        response.end(body);
        return true;
      };
      const other = await startNode();
      await expect(rpcTo([node, other]).topology('g')).rejects.toMatchObject({
        code: 'FABRIC_COMMAND_FAILED',
        message: expect.stringContaining('No such group'),
      });
      expect(other.calls).toEqual([]);
    }
  });
});
