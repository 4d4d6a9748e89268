import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connect, type FabricConnection } from '../../../src/promise.js';
import { failureOf, ScriptedGroup, until } from '../../fakes/scripted-group.js';
import type { Answer } from '../../fakes/scripted-mysql.js';

/** `withTransaction`, and transactions that the server undoes, on a server that keeps one transaction as MySQL does. */

const IN_TRANSACTION = 3;
const NONE = 2;

class Ledger {
  readonly committed: string[] = [];
  #pending: string[] = [];
  #open = false;
  /** Statements that end in a deadlock, once each. */
  readonly deadlocks = new Set<string>();

  readonly script = (sql: string, answer: Answer): void => {
    const undone = this.deadlocks.delete(sql);
    if (undone || sql === 'ROLLBACK') this.#turn([], false);
    else if (sql === 'COMMIT') this.#turn(this.#pending, false);
    else if (sql.startsWith('START TRANSACTION')) this.#turn(this.#pending, true);
    else (this.#open ? this.#pending : this.committed).push(sql);
    if (undone) answer.error(1213, '40001', 'Deadlock found');
    else answer.ok(this.#open ? IN_TRANSACTION : NONE);
  };

  #turn(kept: readonly string[], open: boolean): void {
    this.committed.push(...kept);
    this.#pending = [];
    this.#open = open;
  }
}

let group: ScriptedGroup;
let ledger: Ledger;
let connection: FabricConnection | undefined;
beforeEach(async () => {
  group = await ScriptedGroup.start();
  ledger = new Ledger();
  group.primary.script = ledger.script;
});
afterEach(async () => {
  connection?.destroy();
  connection = undefined;
  await group.stop();
});

function open(): FabricConnection {
  const fabric = { host: '127.0.0.1', port: group.node.port };
  connection = connect({ fabric, user: 'u', group: 'g', ttl: 0.05 });
  return connection;
}

describe('a transaction that a deadlock undid', () => {
  it('is run again whole: what the closure had given behind the statement is not executed outside of it', async () => {
    ledger.deadlocks.add('UPDATE A');
    const pool = group.create();
    await pool.promise().withTransaction(one => Promise.all([one.query('UPDATE A'), one.query('INSERT B')]));
    expect(ledger.committed).toEqual(['UPDATE A', 'INSERT B']);
  });

  it('commits nothing of what the closure goes on to do without it', async () => {
    ledger.deadlocks.add('UPDATE A');
    const refused: (string | undefined)[] = [];
    await group
      .create()
      .promise()
      .withTransaction(async one => {
        await one.query('UPDATE A').catch(() => {});
        await one.query('INSERT B').catch(error => {
          refused.push(error.fabric.outcome);
        });
      });
    expect(refused).toEqual(['rolled-back']);
    expect(ledger.committed).toEqual(['UPDATE A', 'INSERT B']);
  });

  it('with COMMIT is run again, too', async () => {
    ledger.deadlocks.add('COMMIT');
    const pool = group.create();
    await pool.promise().withTransaction(one => one.query('INSERT A'));
    expect(ledger.committed).toEqual(['INSERT A']);
    expect(group.primary.statements.filter(sql => sql === 'COMMIT')).toHaveLength(2);
  });

  it('takes with it what was given before the application heard, and no more', async () => {
    ledger.deadlocks.add('UPDATE A');
    const one = open();
    await one.beginTransaction();
    const given = ['UPDATE A', 'INSERT B', 'COMMIT'].map(sql => failureOf(one.query(sql)));
    const [deadlock, ...behind] = await Promise.all(given);
    expect(deadlock).toMatchObject({ errno: 1213, fabric: { outcome: 'answered' } });
    for (const error of behind) expect(error.fabric?.outcome).toBe('rolled-back');
    await one.query('INSERT C');
    expect(ledger.committed).toEqual(['INSERT C']);
  });
});

describe('withTransaction', () => {
  it('beside another one on the same connection is refused, and the other one is whole', async () => {
    const one = open();
    await one.connect();
    const first = one.withTransaction(each => each.query('INSERT one'));
    const second = failureOf(one.withTransaction(each => each.query('INSERT two')));
    expect(await second).toMatchObject({ code: 'FABRIC_NESTED_TRANSACTION' });
    await first;
    expect(ledger.committed).toEqual(['INSERT one']);
    await one.withTransaction(each => each.query('INSERT three'));
    expect(ledger.committed).toEqual(['INSERT one', 'INSERT three']);
  });

  it.each<[string, (one: FabricConnection, whole: FabricConnection) => unknown]>([
    ['end()', one => one.end()],
    ['setProperty()', one => one.setProperty({ mode: 'WRITEONLY' })],
    ['setProperty() of the whole', (_one, whole) => whole.setProperty({ mode: 'WRITEONLY' })],
    ['reset()', one => one.reset()],
    ['changeUser()', one => one.changeUser({ user: 'other' })],
  ])('whose closure ends the transaction with %s executes nothing outside of it', async (_name, leave) => {
    const whole = open();
    const error = await failureOf(
      whole.withTransaction(async one => {
        await one.query('INSERT A');
        await leave(one, whole);
        await one.commit().catch(() => {});
        await one.rollback().catch(() => {});
        await one.query('INSERT B').catch(() => {});
      }),
    );
    expect(error).toMatchObject({ code: 'FABRIC_CLOSED', message: expect.stringContaining('rolled back') });
    expect(ledger.committed).toEqual([]);
    expect(group.primary.statements).not.toContain('INSERT B');
  });

  it('is refused by a connection that was released, and ends with one that is', async () => {
    const pool = group.create({ connectionLimit: 1 }).promise();
    const released = await pool.getConnection();
    released.release();
    expect(await failureOf(released.withTransaction(() => {}))).toMatchObject({ code: 'FABRIC_CLOSED' });
    const held = await pool.getConnection();
    const ended = failureOf(
      held.withTransaction(async one => {
        held.release();
        await one.query('INSERT A');
      }),
    );
    expect(await ended).toMatchObject({ code: 'FABRIC_CLOSED' });
    expect(ledger.committed).toEqual([]);
    await pool.query('INSERT B'); // the connection is not lost to the pool
  });

  it('begins, with an isolation level too, where a transaction was lost that the application knows of', async () => {
    const one = open();
    await one.beginTransaction();
    for (const socket of group.primary.sockets) socket.destroy();
    expect((await failureOf(one.query('INSERT A'))).fabric?.outcome).toBe('rolled-back');
    await one.withTransaction(each => each.query('INSERT B'), { isolationLevel: 'READ COMMITTED' });
    expect(ledger.committed).toContain('INSERT B');
  });

  it('that waits for a primary ends with its signal, and its closure is not run', async () => {
    const one = open();
    await one.query('SELECT 1');
    group.lead(group.primary);
    group.node.servers = group.node.servers.slice(1);
    while (one.explain().server !== null) await one.query({ sql: 'SELECT 1', mode: 'READONLY' }); // until it knows
    const calling = new AbortController();
    let ran = false;
    const closure = (): void => {
      ran = true;
    };
    const ended = failureOf(one.withTransaction(closure, { signal: calling.signal }));
    const reason = new Error('called off');
    await sleep(20);
    calling.abort(reason);
    expect(await ended).toBe(reason);
    group.lead(group.primary);
    await one.query('SELECT 2');
    expect(ran).toBe(false);
    expect(group.primary.statements).toEqual(['SELECT 1', 'SELECT 2']);
  });

  it('is let finish by the end of its pool', async () => {
    const pool = group.create().promise();
    let ended: Promise<void> | undefined;
    await pool.withTransaction(async one => {
      await one.query('INSERT 1');
      ended = pool.end();
      await sleep(20); // between two statements
      await one.query('INSERT 2');
    });
    await ended;
    expect(ledger.committed).toEqual(['INSERT 1', 'INSERT 2']);
    expect(group.primary.sockets.size).toBeLessThanOrEqual(1);
    await until('it is closed', () => group.primary.sockets.size === 0);
    expect(await failureOf(pool.query('SELECT 1'))).toMatchObject({ code: 'FABRIC_CLOSED' });
  });
});
