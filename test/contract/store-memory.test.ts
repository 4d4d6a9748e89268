import { expect, it } from 'vitest';
import { createMemoryStore } from '../../src/fabric/store/memory.js';
import { storeContract } from './store.contract.js';

storeContract('memory', async () => createMemoryStore());

it('memory forgets old finished runs', async () => {
  const store = createMemoryStore();
  for (let n = 0; n <= 1_000; n += 1) {
    await store.saveRun({
      uuid: `${n}`,
      procedure: 'p',
      group: 'g',
      step: 0,
      data: '{}',
      finished: true,
      error: null,
      events: [],
    });
  }
  expect(await store.run('0')).toBeUndefined();
  expect(await store.run('1')).toBeDefined();
});
