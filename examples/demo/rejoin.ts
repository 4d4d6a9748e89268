/** A primary that was lost comes back: fenced first, then checked, then a spare, then a secondary. */
import type { Member } from './cluster.js';
import type { Stage } from './scenario.js';
import { until } from './wait.js';

export async function bringBack(lost: Member, stage: Stage): Promise<void> {
  const { cluster, story, signal } = stage;
  const { server, name } = lost;
  await server.start();
  story.say(`${name} runs again (process ${server.pid}); the node has to fence it before anybody writes to it.`);
  await until(`${name} is fenced`, () => isFenced(lost), { signal });
  await repair(lost, stage);
  await cluster.call('server.set_status', server.address, 'SPARE');
  story.say(`${name} is SPARE: it follows the new primary, and serves nobody yet.`);
  await until(`${name} has caught up`, async () => (await missingOn(lost, stage)) === 0, { signal, timeout: 20_000 });
  await cluster.call('server.set_status', server.address, 'SECONDARY');
  await until(`${name} replicates`, () => replicates(lost, stage), { signal });
  story.say(`${name} is SECONDARY, has caught up and serves reads again.`);
}

async function isFenced({ server }: Member): Promise<boolean> {
  const [row] = await server.query('SELECT @@GLOBAL.super_read_only AS fenced');
  return Number(row?.fenced) === 1;
}

/**
 * What the old primary wrote in its last moments and nobody received was never acknowledged, but it is in its data. The node refuses such a
 * server, for its data are not those of the group; it starts anew from the primary's binary logs.
 */
async function repair({ server, name }: Member, { cluster, story }: Stage): Promise<void> {
  const primary = await cluster.primary();
  const [held] = await server.query('SELECT @@GLOBAL.gtid_executed AS gtids');
  const [row] = (await primary?.server.query('SELECT GTID_SUBTRACT(?, @@GLOBAL.gtid_executed) AS errant', [
    held?.gtids,
  ])) ?? [undefined];
  if (!row?.errant) return;
  story.say(
    `${name} has transactions that nobody else received: ${cluster.named(String(row.errant))}. The node refuses it:`,
  );
  const refusal = await cluster.call('server.set_status', server.address, 'SPARE').then(
    () => 'it did not',
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );
  story.say(`  ${cluster.named(refusal)}`);
  await server.reset();
  story.say(`${name} was emptied and gets its data anew from the primary.`);
}

/** Transactions of the primary that this server has not applied, as of now. */
async function missingOn({ server }: Member, { cluster }: Stage): Promise<number> {
  const primary = await cluster.primary();
  const [row] = (await primary?.server.query('SELECT @@GLOBAL.gtid_executed AS gtids')) ?? [];
  const [answer] = await server.query('SELECT WAIT_FOR_EXECUTED_GTID_SET(?, 0.2) AS late', [row?.gtids]);
  return Number(answer?.late);
}

async function replicates({ uuid }: Member, { cluster }: Stage): Promise<boolean> {
  const { rows } = await cluster.health();
  const row = rows.find(server => server.uuid === uuid);
  return Boolean(row?.is_alive && !row.is_not_configured && !row.io_not_running && !row.sql_not_running);
}
