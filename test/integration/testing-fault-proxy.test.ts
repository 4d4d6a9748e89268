import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { accounts, FaultProxy, Mysqld } from '../../src/testing.js';

/** A client that remembers what happened to it. */
interface Client {
  readonly socket: Socket;
  text: string;
  ended: boolean;
  error: string | undefined;
}

let echo: Server;
let atServer: Socket[];
let proxy: FaultProxy;
let clients: Client[];

beforeEach(async () => {
  atServer = [];
  clients = [];
  echo = createServer({ allowHalfOpen: true }, socket => {
    atServer.push(socket);
    socket.on('error', () => {});
    socket.pipe(socket);
  });
  echo.listen(0, '127.0.0.1');
  await once(echo, 'listening');
  proxy = await FaultProxy.start({ port: (echo.address() as { port: number }).port });
});

afterEach(async () => {
  for (const { socket } of clients) socket.destroy();
  await proxy.stop();
  for (const socket of atServer) socket.destroy();
  echo.close();
});

async function open(): Promise<Client> {
  const socket = connect({ port: proxy.port, host: proxy.host, allowHalfOpen: true });
  const client: Client = { socket, text: '', ended: false, error: undefined };
  clients.push(client);
  socket.on('data', chunk => {
    client.text += chunk;
  });
  socket.on('end', () => {
    client.ended = true;
  });
  socket.on('error', error => {
    client.error = (error as NodeJS.ErrnoException).code;
  });
  await once(socket, 'connect').catch(() => {});
  return client;
}

async function until(condition: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 5_000; !condition(); await sleep(5)) {
    if (Date.now() > deadline) throw new Error(`it did not happen: ${condition}`);
  }
}

async function echoes(client: Client, text: string): Promise<void> {
  client.text = '';
  client.socket.write(text);
  await until(() => client.text === text);
}

test('passes bytes on and counts them', async () => {
  const client = await open();
  await echoes(client, 'hello');
  expect(proxy.connections).toBe(1);
  expect(proxy.bytes).toEqual({ up: 5, down: 5 });
  client.socket.end();
  await until(() => client.ended && proxy.connections === 0);
  expect(client.error).toBeUndefined();
});

test('passes much data on, however slow the reader', async () => {
  const client = await open();
  client.socket.removeAllListeners('data');
  client.socket.pause();
  const size = 64 * 1024 * 1024;
  client.socket.write(Buffer.alloc(size));
  await sleep(200);
  // what neither side reads stays with its sender: the proxy holds little more than the sockets do
  expect(proxy.bytes.up).toBeLessThan(size / 2);
  let read = 0;
  client.socket.on('data', chunk => {
    read += chunk.length;
  });
  client.socket.resume();
  await until(() => read === size);
  expect(proxy.bytes).toEqual({ up: size, down: size });
});

test('cut resets both sides, and new connections work', async () => {
  const client = await open();
  await echoes(client, 'a');
  proxy.cut();
  await until(() => client.error === 'ECONNRESET' && atServer[0]?.destroyed === true);
  await echoes(await open(), 'b');
});

test('refuse closes the door and keeps who is in; accept opens it on the same port', async () => {
  const inside = await open();
  await echoes(inside, 'a');
  const { port } = proxy;
  proxy.refuse();
  expect((await open()).error).toBe('ECONNREFUSED');
  await echoes(inside, 'b');
  await proxy.accept();
  expect(proxy.port).toBe(port);
  await echoes(await open(), 'c');
});

describe('blackhole', () => {
  test('swallows both ways, accepts silently, and heals by resetting', async () => {
    const old = await open();
    await echoes(old, 'a');
    proxy.blackhole();
    old.socket.write('xyz');
    const late = await open();
    expect(late.error).toBeUndefined();
    late.socket.write('hey');
    await until(() => proxy.swallowed.up === 6);
    await sleep(50);
    expect([old.text, late.text, old.error, late.error, old.ended]).toEqual(['a', '', undefined, undefined, false]);
    await proxy.heal();
    await until(() => old.error === 'ECONNRESET' && late.error === 'ECONNRESET');
    await echoes(await open(), 'b');
  });

  test('swallows one way', async () => {
    const client = await open();
    proxy.blackhole('down');
    client.socket.write('xyz');
    await until(() => proxy.swallowed.down === 3);
    expect(proxy.bytes).toEqual({ up: 3, down: 0 });
    expect(client.text).toBe('');
  });

  test('hides that the server went away', async () => {
    const client = await open();
    await echoes(client, 'a');
    proxy.blackhole();
    atServer[0]?.resetAndDestroy();
    await sleep(100);
    expect([client.ended, client.error]).toEqual([false, undefined]);
  });

  test('spares connections that lost nothing', async () => {
    const client = await open();
    await echoes(client, 'a');
    proxy.blackhole();
    await proxy.heal();
    await echoes(client, 'b');
  });
});

test('stall holds bytes back and delivers them afterwards', async () => {
  const client = await open();
  proxy.stall();
  client.socket.write('late');
  await sleep(100);
  expect(client.text).toBe('');
  await proxy.heal();
  await until(() => client.text === 'late');
});

describe('delay', () => {
  test('holds in each direction it is set for', async () => {
    const client = await open();
    await echoes(client, 'a');
    for (const [direction, ms] of [
      ['up', 100],
      ['both', 200],
    ] as const) {
      await proxy.heal();
      proxy.delay(100, direction);
      const begin = performance.now();
      await echoes(client, 'b');
      expect(performance.now() - begin).toBeGreaterThanOrEqual(ms - 5);
    }
  });

  test('keeps the order when it ends, and the end of the stream comes last', async () => {
    const client = await open();
    proxy.delay(5_000);
    client.socket.write('a');
    await sleep(20);
    await proxy.heal();
    client.socket.write('b');
    client.socket.end('c');
    await until(() => client.ended);
    expect(client.text).toBe('abc');
  });

  test('holds a sender back rather than keep everything', async () => {
    const client = await open();
    proxy.delay(2_000, 'up');
    client.socket.write(Buffer.alloc(32 * 1024 * 1024));
    await sleep(300);
    expect(client.socket.writableLength).toBeGreaterThan(0);
  });

  test('refuses what is no number of milliseconds', () => {
    expect(() => proxy.delay(Number.NaN)).toThrow(RangeError);
    expect(() => proxy.delay(-1)).toThrow(RangeError);
  });
});

describe('halfOpen', () => {
  test('down: the client sees the end, and the server still hears it', async () => {
    const client = await open();
    await echoes(client, 'a');
    proxy.halfOpen('down');
    await until(() => client.ended);
    const heard = once(atServer[0] as Socket, 'data');
    client.socket.write('b');
    expect(String(await heard)).toBe('b');
    expect(client.error).toBeUndefined();
  });

  test('up: the server sees the end, and the client still hears it', async () => {
    const client = await open();
    await echoes(client, 'a');
    const server = atServer[0] as Socket;
    server.unpipe();
    server.removeAllListeners('end');
    const ended = once(server, 'end');
    server.resume();
    proxy.halfOpen('up');
    await ended;
    server.write('still here');
    await until(() => client.text.endsWith('still here'));
    const next = await open();
    await until(() => atServer.length === 2);
    await proxy.heal();
    await until(() => next.error === 'ECONNRESET' || next.ended);
  });
});

test('a server that is not there is a reset connection', async () => {
  echo.close();
  const client = await open();
  await until(() => client.error === 'ECONNRESET');
  expect(proxy.connections).toBe(0);
});

test('stop leaves no connection, in any fault', async () => {
  for (const fault of ['blackhole', 'stall'] as const) {
    await open();
    proxy[fault]();
  }
  await proxy.stop();
  expect(proxy.connections).toBe(0);
  expect((await open()).error).toBe('ECONNREFUSED');
});

describe('between mysql2 and a server', () => {
  let server: Mysqld;

  beforeAll(async () => {
    server = await Mysqld.start();
    return async () => await server.remove();
  }, 600_000);

  test('a cut, a silence and a refusal are what mysql2 sees', async () => {
    const front = await FaultProxy.start({ port: server.port });
    const at = { port: front.port, ...accounts.app };
    const connection = await server.connect(at);
    connection.on('error', () => {});
    expect((await connection.query('SELECT 1 AS one'))[0]).toEqual([{ one: 1 }]);

    const waiting = connection.query('SELECT SLEEP(5)').catch((error: NodeJS.ErrnoException) => error.code);
    await sleep(50);
    front.cut();
    expect(await waiting).toBe('ECONNRESET');

    front.blackhole('down');
    await expect(server.connect({ ...at, connectTimeout: 200 })).rejects.toMatchObject({ code: 'ETIMEDOUT' });
    await front.heal();

    front.refuse();
    await expect(server.connect(at)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await front.heal();
    await (await server.connect(at)).end();
    await front.stop();
  });
});
