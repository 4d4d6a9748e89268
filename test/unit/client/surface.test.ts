import { EventEmitter } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import mysql from 'mysql2';
import promises from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import ours from '../../../src/index.js';
import ourPromises from '../../../src/promise.js';
import { type ScriptedMysql, startScriptedMysql } from '../../fakes/scripted-mysql.js';
import { aServer, type ScriptedNode, startScriptedNode } from '../../fakes/scripted-node.js';
import { calls } from '../../tables/mysql2-calls/all.js';

/**
 * All that mysql2 has at run time, ours has, with the same arity: modules, statics, and what objects have, own and inherited. Each member is
 * called by a row of test/tables/mysql2-calls, or docs/differences-from-mysql2.md says why not.
 */

const text = readFileSync(join(import.meta.dirname, '../../../docs/differences-from-mysql2.md'), 'utf8');

/** The first column of the table under a heading. */
function listed(heading: string): string[] {
  const section = text.split(`\n## ${heading}\n`)[1]?.split('\n## ')[0] ?? '';
  const firsts = section.split('\n').flatMap(line => /^\| (?!---|what \|)(.+?) \|/.exec(line)?.[1] ?? []);
  return firsts.flatMap(first => first.replaceAll('`', '').split(', '));
}

const members = new Set(listed('Members'));
const called = new Set(calls.flatMap(call => call.members));

let mysqld: ScriptedMysql;
let node: ScriptedNode;
let subjects: [name: string, theirs: object, ours: object][];
const cleanup: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  [node, mysqld] = await Promise.all([startScriptedNode(), startScriptedMysql()]);
  node.servers = [aServer(mysqld.port)];
  const theirOptions = { host: '127.0.0.1', port: mysqld.port, user: 'u' };
  const ourOptions = { fabric: { host: '127.0.0.1', port: node.port }, user: 'u', group: 'g' };
  const [a, b] = await Promise.all([
    objectsOf(mysql, promises, theirOptions),
    objectsOf(ours as never, ourPromises as never, ourOptions),
  ]);
  subjects = Object.keys(a).map(name => [name, a[name] as object, b[name] as object]);
});
afterAll(async () => {
  await Promise.all(cleanup.map(end => end()));
  await Promise.all([node.close(), mysqld.close()]);
});

/** One of each kind, connected. */
async function objectsOf(door: typeof mysql, promiseDoor: typeof promises, options: mysql.PoolOptions) {
  const connection = await promiseDoor.createConnection(options);
  const pool = promiseDoor.createPool(options);
  cleanup.push(
    () => connection.end(),
    () => pool.end(),
  );
  const core = (connection as unknown as { connection: mysql.Connection }).connection;
  const poolConnection = await pool.getConnection();
  const lent = (poolConnection as unknown as { connection: mysql.PoolConnection }).connection;
  let query: mysql.Query | undefined; // not to be awaited
  await new Promise<void>(resolve => {
    query = core.query('SET x', () => resolve());
  });
  poolConnection.release();
  return {
    module: door,
    promises: promiseDoor,
    Connection: core,
    PoolConnection: lent,
    Pool: pool.pool,
    Query: query,
    PromiseConnection: connection,
    PromisePoolConnection: poolConnection,
    PromisePool: pool,
  } as Record<string, object>;
}

/** Names of all members but an emitter's, own and inherited. Names with _ are the driver's own business, but for the few that are listed. */
function namesOf(object: object): (string | symbol)[] {
  const names = new Set<string | symbol>();
  for (let at = object; at && at !== EventEmitter.prototype && at !== Object.prototype; at = Object.getPrototypeOf(at))
    for (const name of Reflect.ownKeys(at)) if (name !== 'constructor') names.add(name);
  const ofEmitters = new Set<string | symbol>([...Reflect.ownKeys(new EventEmitter()), 'shapeMode', 'domain']);
  return [...names].filter(name => !ofEmitters.has(name) && !/^Symbol\((kCapture|shapeMode)\)$/.test(String(name)));
}

const isPrivate = (name: string | symbol): boolean => typeof name === 'string' && name.startsWith('_');
const nameIn = (subject: string, name: string | symbol): string =>
  `${subject}.${String(name).replace(/^Symbol\((?:nodejs\.|Symbol\.)?(\w+)\)$/, '[Symbol.$1]')}`;

const memberOf = (object: object, name: string | symbol): unknown => (object as Record<string | symbol, unknown>)[name];
const shapeOf = (object: object, name: string | symbol): string => {
  if (!(name in object)) return 'missing';
  const value = memberOf(object, name);
  return typeof value === 'function' ? `a function of ${value.length}` : 'a value';
};

/** A connection of a pool has what a connection has, which counts once. */
function once(names: string[]): string[] {
  const base = names.map(name => name.replace('PoolConnection.', 'Connection.'));
  return [...new Set(names.map((name, i) => (names.includes(base[i] as string) ? (base[i] as string) : name)))];
}

/** What ours lacks, or has in another shape. */
const different = (): string[] =>
  subjects.flatMap(([subject, theirs, our]) =>
    namesOf(theirs)
      .filter(name => !isPrivate(name) && shapeOf(theirs, name) !== shapeOf(our, name))
      .map(name => nameIn(subject, name)),
  );

/** Functions that are not the very same on both sides. */
const ownFunctions = (): string[] =>
  subjects.flatMap(([subject, theirs, our]) =>
    namesOf(theirs)
      .filter(name => !isPrivate(name) && typeof memberOf(theirs, name) === 'function')
      .filter(name => !/^(module|promises)$/.test(subject) || memberOf(theirs, name) !== memberOf(our, name))
      .map(name => nameIn(subject, name)),
  );

const uncalled = (): string[] =>
  once(ownFunctions()).filter(name => !called.has(name) && !called.has(name.replace('PoolConnection.', 'Connection.')));

describe('what mysql2 has', () => {
  it('ours has too, with the same arity', () => {
    expect(once(different()).filter(name => !members.has(name))).toEqual([]);
  });

  it('is called by the table of calls', () => {
    expect(uncalled().filter(name => !members.has(name))).toEqual([]);
  });

  it('is a listed difference only where it is one', () => {
    const needed = new Set(once([...different(), ...uncalled()]));
    expect([...members].filter(name => !needed.has(name))).toEqual([]);
    expect(members.size).toBeGreaterThan(10);
  });

  it('others pools look at is there', () => {
    const looked = ['_closing', '_fatalError', '_protocolError', '_handshakePacket'];
    const [, , connection] = subjects.find(([name]) => name === 'Connection') ?? [];
    expect(looked.filter(name => !(name in (connection ?? {})))).toEqual([]);
  });

  it('statics: those of its classes, also by way of an object', () => {
    for (const [, theirs, our] of subjects.slice(2)) {
      const statics = (it: object): string[] =>
        Object.getOwnPropertyNames(Object.getPrototypeOf(it).constructor).filter(name => name !== 'prototype');
      for (const name of [...statics(theirs), 'createQuery', 'statementKey'])
        expect(shapeOf(our.constructor, name), name).toBe(shapeOf(theirs.constructor, name));
    }
  });
});

describe('what differs by call', () => {
  it('is listed, and what is listed is shown by a call', () => {
    const shown = [...new Set(calls.flatMap(({ differs }) => differs ?? []))];
    expect(shown.sort()).toEqual(listed('Calls').sort());
  });
});
