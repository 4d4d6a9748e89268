import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { column, read } from '../../src/fabric/commands/define.js';
import type { Endpoint } from '../../src/fabric/endpoints/listener.js';
import { startXmlRpc } from '../../src/fabric/endpoints/xmlrpc.js';
import { type FabricNodeOptions, parseFabricOptions } from '../../src/fabric/options.js';
import { encodeCall } from '../../src/wire/xmlrpc.js';

/** What clients of the XML-RPC endpoint may cost, and how they are told goodbye. */

const soon = <T>(value: () => T) => expect.poll(value, { timeout: 20_000 });

const sockets: Socket[] = [];
let endpoint: Endpoint;
let letGo: () => void;
/** Calls of `test.wait` that have begun. */
let begun = 0;

afterEach(async () => {
  letGo();
  for (const socket of sockets.splice(0)) socket.destroy();
  await endpoint.stop(0);
});

/** The endpoint with the commands `test.wait`, which waits for `letGo`, and `test.long`. */
async function start(limits: NonNullable<FabricNodeOptions['protocol']>['xmlrpc']): Promise<void> {
  begun = 0;
  const go = new Promise<void>(resolve => {
    letGo = resolve;
  });
  const command = (name: string, run: () => Promise<string>) =>
    read({ name, doc: '', params: [], sets: [[column('x', 'string')]], run: async () => [[[await run()]]] });
  const wait = () => {
    begun += 1;
    return go.then(() => 'gone');
  };
  const commands = new Map([
    ['test.wait', command('test.wait', wait)],
    ['test.long', command('test.long', async () => 'x'.repeat(8 * 1024 * 1024))],
    ['test.ping', command('test.ping', async () => 'pong')],
  ]);
  const given = { address: '127.0.0.1:0', disableAuthentication: true, ...limits };
  const { xmlrpc } = parseFabricOptions({ servers: { password: 'x' }, protocol: { xmlrpc: given } }).protocol;
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  const statistics = { called() {}, failed() {} };
  const context = { log, commands, statistics, store: { revision: 0 }, options: { connector: { ttl: 1 } } };
  endpoint = await startXmlRpc(xmlrpc, context as never);
  endpoint.open();
}

interface Raw {
  readonly socket: Socket;
  /** All that has come. */
  heard(): string;
  readonly ended: Promise<unknown>;
}

async function open(sent = ''): Promise<Raw> {
  const socket = connect(endpoint.address.port, endpoint.address.host);
  sockets.push(socket);
  socket.on('error', () => {});
  const ended = new Promise(resolve => socket.once('close', resolve));
  let text = '';
  socket.on('data', chunk => {
    text += chunk.toString('latin1');
  });
  await once(socket, 'connect');
  if (sent !== '') socket.write(sent);
  return { socket, ended, heard: () => text };
}

function post(method: string): string {
  const body = encodeCall(method, []);
  return `POST /RPC2 HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
}
const answersIn = (text: string) => text.match(/HTTP\/1\.1 \d{3}/g) ?? [];

describe('requests before their answers', () => {
  it('are carried out one after the other', async () => {
    await start({});
    const { heard } = await open(post('test.wait') + post('test.ping') + post('test.wait'));
    await soon(() => begun).toBe(1);
    expect(heard()).toBe('');
    letGo();
    await soon(() => answersIn(heard())).toEqual(Array(3).fill('HTTP/1.1 200'));
    expect(heard().indexOf('gone')).toBeLessThan(heard().indexOf('pong'));
    expect(begun).toBe(2);
  });

  it('are not carried out when their client has gone', async () => {
    await start({});
    const gone = await open(post('test.wait') + post('test.wait'));
    await soon(() => begun).toBe(1);
    gone.socket.destroy();
    const other = await open(post('test.ping'));
    await soon(() => answersIn(other.heard())).toHaveLength(1);
    letGo();
    const last = await open(post('test.wait'));
    await soon(() => answersIn(last.heard())).toHaveLength(1);
    expect(begun).toBe(2);
  });

  it('are so many at most', async () => {
    await start({ maxPipelined: 3 });
    const many = await open(post('test.wait').repeat(5));
    await many.ended;
    expect(begun).toBeLessThanOrEqual(1);
    const some = await open(post('test.ping').repeat(3));
    await soon(() => answersIn(some.heard())).toHaveLength(3);
  });
});

describe('clients', () => {
  it('that do not take their answer are let go', async () => {
    await start({ headersTimeout: 0.2, requestTimeout: 0.4 });
    const busy = await open(post('test.wait'));
    await soon(() => begun).toBe(1);
    const slow = await open();
    slow.socket.pause();
    slow.socket.write(post('test.long'));
    // A socket that is not read tells of its end when it is written to.
    const prodding = setInterval(() => slow.socket.write('\r\n'), 50);
    await slow.ended;
    clearInterval(prodding);
    // What a command takes is not the client's time.
    letGo();
    await soon(() => answersIn(busy.heard())).toEqual(['HTTP/1.1 200']);
  });

  it('that have come in are so many at most', async () => {
    await start({ maxConnections: 2 });
    const members = [await open(post('test.ping')), await open(post('test.ping'))];
    for (const { heard } of members) await soon(() => answersIn(heard())).toEqual(['HTTP/1.1 200']);
    const third = await open(post('test.ping'));
    await third.ended;
    expect(answersIn(third.heard())).toEqual(['HTTP/1.1 503']);
    members[0]?.socket.destroy();
    await soon(async () => {
      const next = await open(post('test.ping'));
      await soon(() => answersIn(next.heard())).toHaveLength(1);
      return answersIn(next.heard());
    }).toEqual(['HTTP/1.1 200']);
  });

  it('that say nothing keep nobody out', async () => {
    await start({ maxConnections: 5 });
    const silent = await Promise.all(Array.from({ length: 40 }, () => open()));
    const { heard } = await open(post('test.ping'));
    await soon(() => answersIn(heard())).toEqual(['HTTP/1.1 200']);
    await silent[0]?.ended;
  });

  it.each([
    ['bodies', { maxRequestSize: 2_000 }, `POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2001\r\n\r\n`, '413'],
    ['heads', { maxHeaderSize: 2_000 }, `POST / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(2_000)}\r\n\r\n`, '431'],
  ])('cannot send %s that are too large', async (_what, limits, sent, status) => {
    await start(limits);
    const { heard } = await open(sent);
    await soon(() => answersIn(heard())).toEqual([`HTTP/1.1 ${status}`]);
  });
});

describe('a node that stops', () => {
  it('ends idle connections at once, and others after their answer', async () => {
    await start({});
    const idle = await open(post('test.ping'));
    await soon(() => answersIn(idle.heard())).toHaveLength(1);
    const halfway = await open(post('test.ping').slice(0, -5));
    const busy = await open(post('test.wait') + post('test.wait'));
    await soon(() => begun).toBe(1);
    const stopped = endpoint.stop(10_000);
    await Promise.all([idle.ended, halfway.ended]);
    expect(busy.heard()).toBe('');
    letGo();
    await Promise.all([stopped, busy.ended]);
    expect(busy.heard()).toMatch(
      /^HTTP\/1\.1 200 OK\r\n[\s\S]*Connection: close\r\n[\s\S]*gone[\s\S]*<\/methodResponse>$/,
    );
    expect(begun).toBe(1);
  });

  it('waits no longer than the grace', async () => {
    await start({});
    const busy = await open(post('test.wait'));
    await soon(() => begun).toBe(1);
    await Promise.all([endpoint.stop(100), busy.ended]);
    expect(busy.heard()).toBe('');
  });
});
