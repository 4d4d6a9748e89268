import { expect, it } from 'vitest';
import { column, read } from '../../../src/fabric/commands/define.js';
import { createAnswerer } from '../../../src/fabric/endpoints/xmlrpc-answers.js';
import { encodeCall } from '../../../src/wire/xmlrpc.js';

/** How often a call that is made twice is carried out. */
async function carriedOut(argument: string): Promise<number> {
  let runs = 0;
  const command = read({
    ...{ name: 'test.look', doc: '', sets: [[column('x', 'string')]], cacheable: true },
    params: [{ name: 'text', doc: '', type: 'string' }],
    run: async () => {
      runs += 1;
      return [[['seen']]];
    },
  });
  const statistics = { called() {}, failed() {} };
  const commands = new Map([['test.look', command]]);
  const context = { commands, statistics, store: { revision: 0 }, options: { connector: { ttl: 1 } } };
  const answer = createAnswerer(context as never);
  const caller = { user: '', roles: ['superadmin'] } as never;
  for (let n = 0; n < 2; n += 1) {
    const bytes = await answer(Buffer.from(encodeCall('test.look', [argument])), caller);
    expect(String(bytes)).toContain('seen');
  }
  return runs;
}

it('remembers the answers of short calls, so that no client fills the memory with long ones', async () => {
  expect(await carriedOut('my_group')).toBe(1);
  expect(await carriedOut('x'.repeat(100_000))).toBe(2);
});
