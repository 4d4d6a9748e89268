import { createServer, type Server } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { watchStop } from '../../../src/cli/until-stopped.js';
import type { Config } from '../../../src/fabric/config-file.js';
import { type ScriptedMysql, startScriptedMysql } from '../../fakes/scripted-mysql.js';

/** The tool waits for the end of a node whose state is on a MySQL server, of which not every look gets an answer. */

let node: Server;
let store: ScriptedMysql;
let config: Config;
/** Who has the store. */
let holder: string;
beforeEach(async () => {
  store = await startScriptedMysql();
  holder = '7';
  store.script = (sql, answer) => (sql.includes('IS_USED_LOCK') ? answer.rows([holder], true, 'id') : answer.ok());
  node = createServer(socket => socket.destroy());
  await new Promise<void>(resolve => node.listen(0, '127.0.0.1', resolve));
  const { port } = node.address() as { port: number };
  const storage = { type: 'mysql', address: `127.0.0.1:${store.port}`, user: 'u', password: 'p' } as const;
  const caller = { host: '127.0.0.1', port, open: true, user: 'admin', password: undefined };
  config = {
    ...{ file: null, usualFiles: [], notes: [], logging: { level: 'INFO', file: null } },
    options: { servers: { password: 'p' }, protocol: { xmlrpc: { disableAuthentication: true } }, storage },
    caller: { ...caller, sslCa: undefined, sslCert: undefined },
  };
});
afterEach(async () => {
  node.close();
  await store.close();
});

const TOO_MANY_CONNECTIONS = 1040;
const STORE = /^the state store /;

test('a look that fails is no sign that the store was let go', async () => {
  const untilStopped = await watchStop(config, 5_000);
  node.close();
  store.refusal = TOO_MANY_CONNECTIONS;
  let left: string | undefined | null = null;
  const waiting = untilStopped().then(what => {
    left = what;
  });
  await sleep(300);
  expect(left).toBeNull();
  store.refusal = 0;
  await sleep(300);
  expect(left).toBeNull();
  holder = '8';
  await waiting;
  expect(left).toBeUndefined();
});

test('a node that has its store to the last is told', async () => {
  const untilStopped = await watchStop(config, 400);
  node.close();
  expect(await untilStopped()).toMatch(STORE);
});

test('a store that gives no answer to the last is taken for let go: the bounds of a node are shorter', async () => {
  const untilStopped = await watchStop(config, 400);
  node.close();
  store.refusal = TOO_MANY_CONNECTIONS;
  expect(await untilStopped()).toBeUndefined();
});

test('of a store that could not be asked before only the address is waited for', async () => {
  store.refusal = TOO_MANY_CONNECTIONS;
  const untilStopped = await watchStop(config, 400);
  store.refusal = 0;
  expect(await untilStopped()).toMatch(/^the address /);
  node.close();
  expect(await (await watchStop(config, 400))()).toMatch(STORE);
  expect(await untilStopped()).toBeUndefined();
});
