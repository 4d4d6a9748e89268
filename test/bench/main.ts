import { benchDumpServers } from './dump-servers.js';
import { benchManyGroups } from './many-groups.js';
import { benchPicks } from './pick.js';
import { benchRoutedPool } from './routed-pool.js';
import { startSandbox } from './sandbox.js';

/** `npm run bench`: prints tables; judges nothing. */

const pair = ([p50, p99]: readonly [number, number]): string => `${p50.toFixed(2)} / ${p99.toFixed(2)}`;

const sandbox = await startSandbox(3);
try {
  console.log('One choice among 3 servers (median)');
  console.table((await benchPicks()).map(row => ({ balancer: row.balancer, ns: row.nanoseconds.toFixed(1) })));

  console.log('Routed pool against mysql2 pool on the same server, 10 connections (medians of alternating pairs)');
  console.table(
    (await benchRoutedPool(sandbox)).map(row => ({
      '': row.what,
      callers: row.callers,
      'mysql2 /s': Math.round(row.bare),
      'routed /s': Math.round(row.routed),
      'routed / mysql2': row.ratio.toFixed(3),
      'p99, routed / mysql2': row.p99Ratio.toFixed(3),
      'CPU per call, routed / mysql2': row.cpuRatio.toFixed(3),
      'mysql2 p50 / p99 ms': pair(row.bareLatency),
      'routed p50 / p99 ms': pair(row.routedLatency),
    })),
  );

  const dump = await benchDumpServers(sandbox);
  console.log(`Authenticated dump.servers of 3 servers, ${dump.callers} callers, one node process`);
  console.table([
    {
      'calls /s': Math.round(dump.perSecond),
      'calls / CPU second of the node': Math.round(dump.perCpuSecond),
      'p50 / p99 ms': pair([dump.p50, dump.p99]),
    },
  ]);

  const many = await benchManyGroups();
  console.log(`A node with ${many.groups} groups of 3 servers in SQLite`);
  console.table([
    {
      'start ms': Math.round(many.startMs),
      'dump.servers of one, p50 / p99 ms': pair(many.dumpMs),
      'with a change before it': pair(many.changeMs),
      'memory MB (before the start)': `${many.megabytes} (${many.megabytesBefore})`,
    },
  ]);
} finally {
  await sandbox.stop();
}
