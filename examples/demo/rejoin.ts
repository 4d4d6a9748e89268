/** A primary that was lost comes back: fenced first, then checked, then a spare, then a secondary. */
import type { Cluster, Member } from './cluster.js';
import { cloneFrom, errantTransactions } from './rebuild.js';
import type { Stage } from './scenario.js';
import { until } from './wait.js';

export async function bringBack(lost: Member, stage: Omit<Stage, 'application'>): Promise<void> {
  const { cluster, story, signal } = stage;
  const { server, name } = lost;
  const startedAt = performance.now();
  await server.start();
  story.say(`${name} runs again (process ${server.pid}); the node has to fence it before anybody writes to it.`);
  await until(`${name} is fenced`, () => cluster.saidSince(startedAt, name, 'is fenced'), { signal });
  await requireFence(lost);
  const primary = await cluster.requirePrimary();
  const errant = await errantTransactions(lost, primary);
  if (errant !== '') {
    story.say(`${name} has transactions that nobody else received. The node does not take it back as it is:`);
    await expectRefusal(lost, cluster);
    await cloneFrom(primary, lost, stage);
    story.say(`${name} got a copy of the data of ${primary.name}, and runs again (process ${server.pid}).`);
  }
  await cluster.call('server.set_status', server.address, 'SPARE');
  story.say(`${name} is SPARE: it follows ${primary.name}, and serves nobody yet.`);
  await until(`${name} has caught up`, () => hasCaughtUp(lost, primary), { signal });
  await cluster.call('server.set_status', server.address, 'SECONDARY');
  await until(`${name} replicates`, () => replicates(lost, cluster), { signal });
  story.say(`${name} is SECONDARY, has caught up and serves reads again.`);
}

/** Asked after the node has spoken: before that it ends everybody's connections. */
async function requireFence({ server, name }: Member): Promise<void> {
  const [row] = await server.query('SELECT @@GLOBAL.super_read_only AS fenced');
  if (Number(row?.fenced) !== 1) throw new Error(`The node has fenced ${name}, and yet it accepts writes.`);
}

/** The node tells the reason itself. */
async function expectRefusal({ server, name }: Member, cluster: Cluster): Promise<void> {
  const takenBack = await cluster.call('server.set_status', server.address, 'SPARE').then(
    () => true,
    () => false,
  );
  if (takenBack) throw new Error(`${name} has errant transactions, and was taken back.`);
}

/** Has applied all that the primary had executed when it was asked. */
async function hasCaughtUp({ server }: Member, primary: Member): Promise<boolean> {
  const [row] = await primary.server.query('SELECT @@GLOBAL.gtid_executed AS gtids');
  const [answer] = await server.query('SELECT WAIT_FOR_EXECUTED_GTID_SET(?, 0.2) AS late', [row?.gtids]);
  return Number(answer?.late) === 0;
}

async function replicates({ uuid }: Member, cluster: Cluster): Promise<boolean> {
  const { rows } = await cluster.health();
  const row = rows.find(server => server.uuid === uuid);
  return Boolean(row?.is_alive && !row.is_not_configured && !row.io_not_running && !row.sql_not_running);
}
