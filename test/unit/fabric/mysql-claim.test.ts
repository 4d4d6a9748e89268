import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type Claim, type Claimant, createClaim } from '../../../src/fabric/store/mysql-claim.js';
import type { Row } from '../../../src/fabric/store/sql-database.js';
import { StoreInUse } from '../../../src/fabric/store/store.js';

/** A node that has lost its session on the state store's server, and has a new one: whether that may be used. */

/** The server: who has the lock, what its sessions are at, and all that it was asked. */
let holder: number | null;
let processes: Row[];
let asked: string[];
/** What KILL does to the former session. */
let kill: () => void;
let getLock: (id: number) => number;
let claim: Claim;
let losses: Error[];
beforeEach(async () => {
  holder = null;
  processes = [];
  asked = [];
  kill = () => {};
  getLock = id => {
    holder ??= id;
    return holder === id ? 1 : 0;
  };
  losses = [];
  claim = createClaim('state', 'here');
  await claim.take(session(1), error => losses.push(error));
  asked = [];
});

afterEach(() => void vi.useRealTimers());

function session(id: number): Claimant {
  const answers: readonly [string, () => readonly Row[]][] = [
    ['UNIX_TIMESTAMP', () => [{ seconds: 1_000 }]],
    ['Uptime', () => [{ Value: 900 }]],
    ['GET_LOCK', () => [{ locked: getLock(id) }]],
    ['IS_USED_LOCK', () => [{ id: holder }]],
    ['SHOW PROCESSLIST', () => processes],
  ];
  return {
    id,
    async query(sql) {
      asked.push(sql);
      return answers.find(([words]) => sql.includes(words))?.[1]() ?? [];
    },
    async execute(sql) {
      asked.push(sql);
      kill();
      return 0;
    },
  };
}
const killed = (Info: string | null) => {
  processes = [
    { Id: 1, Command: 'Killed', Info },
    { Id: 2, Command: 'Query', Info: 'SHOW PROCESSLIST' },
  ];
};
const BUSY = 'The state store state on here cannot be used yet: a former session of this node holds its lock.';

describe('a new session', () => {
  test('has the lock when the server has ended the former one', async () => {
    holder = null;
    await claim.keep(session(2));
    expect(holder).toBe(2);
  });

  test('ends the former one', async () => {
    kill = () => {
      holder = null;
    };
    await claim.keep(session(2));
    expect([holder, asked]).toEqual([2, expect.arrayContaining(['KILL 1'])]);
  });

  test('is not used while the former one is in a statement, which may change something yet', async () => {
    vi.useFakeTimers();
    kill = () => killed('COMMIT');
    const next = session(2);
    await expect(claim.keep(next)).rejects.toThrow(BUSY);
    const { length } = asked;
    await expect(claim.keep(next)).rejects.toThrow(BUSY);
    expect(asked).toHaveLength(length);
    holder = null;
    vi.advanceTimersByTime(1_000);
    await claim.keep(next);
    expect([holder, losses]).toEqual([2, []]);
  });

  test('is used when the former one was killed and is in no statement, although it keeps its lock', async () => {
    kill = () => killed(null);
    await claim.keep(session(2));
    expect([holder, losses]).toEqual([1, []]);
  });

  test('is not used when it could not ask, and says why', async () => {
    getLock = () => {
      throw new Error('Lost connection');
    };
    const next = session(2);
    await expect(claim.keep(next)).rejects.toThrow('Lost connection');
    const { length } = asked;
    await expect(claim.keep(next)).rejects.toThrow('Lost connection');
    expect(asked).toHaveLength(length);
    getLock = () => 1;
    await claim.keep(session(3));
  });

  test('asks once more when nobody has the lock any more', async () => {
    const answers = [0, 1];
    holder = null;
    getLock = () => answers.shift() ?? 0;
    await claim.keep(session(2));
    expect(answers).toEqual([]);
  });

  test("is not used when the lock is another node's", async () => {
    holder = 9;
    await expect(claim.keep(session(2))).rejects.toThrow(StoreInUse);
    expect(losses).toHaveLength(1);
    expect(asked).not.toContain('KILL 9');
  });
});
