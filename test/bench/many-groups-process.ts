import { createFabric } from '../../src/fabric.js';
import { groupName, groupNumber } from '../fakes/many-groups.js';
import { percentile } from './figures.js';

/** A node on the state file that is its argument; tells its figures, and ends with its parent. */

const [file = ''] = process.argv.slice(2);
const megabytes = () => Math.round(process.memoryUsage().rss / 2 ** 20);
const timed = async (work: () => Promise<unknown>): Promise<number> => {
  const began = performance.now();
  await work();
  return performance.now() - began;
};
const pair = (times: readonly number[]) => [percentile(times, 50), percentile(times, 99)] as const;

const fabric = createFabric({
  servers: { password: 'unused' },
  protocol: { xmlrpc: { address: '127.0.0.1:0', disableAuthentication: true } },
  storage: { type: 'sqlite', file },
});
const megabytesBefore = megabytes();
const startMs = await timed(() => fabric.start());
const dumps: number[] = [];
const changes: number[] = [];
for (let n = 0; n < 1_000; n += 1) {
  dumps.push(await timed(() => fabric.call('dump.servers', 0, groupName(n * 7))));
}
for (let n = 0; n < 200; n += 1) {
  const [, server] = groupNumber(n * 11).servers;
  changes.push(
    await timed(async () => {
      await fabric.call('server.set_weight', server?.uuid, 0.5);
      await fabric.call('dump.servers', 0, groupName(n * 11));
    }),
  );
}
process.on('disconnect', () => process.exit());
process.send?.({ startMs, dumpMs: pair(dumps), changeMs: pair(changes), megabytes: megabytes(), megabytesBefore });
