/** A server whose data are not those of the group gets a copy of the primary's. */
import { accounts } from 'mysql2-fabric/testing';
import type { Member } from './cluster.js';
import type { Stage } from './scenario.js';
import { until } from './wait.js';

/**
 * The transactions that this server has and the primary lacks, as a GTID set; empty: none. What a primary wrote in its last moments and
 * no secondary received was never acknowledged, and yet it is in its data.
 */
export async function errantTransactions({ server }: Member, primary: Member): Promise<string> {
  const [held] = await server.query('SELECT @@GLOBAL.gtid_executed AS gtids');
  const [row] = await primary.server.query('SELECT GTID_SUBTRACT(?, @@GLOBAL.gtid_executed) AS errant', [held?.gtids]);
  return String(row?.errant ?? '');
}

/** Ends with a restart of the server. The node has it down as FAULTY, so nobody uses it meanwhile. */
export async function cloneFrom(
  primary: Member,
  { server, name }: Member,
  { signal }: Pick<Stage, 'signal'>,
): Promise<void> {
  const { pid } = server;
  const { user, password } = accounts.fabric;
  await server.query('SET GLOBAL super_read_only = OFF');
  await server.query('SET GLOBAL clone_valid_donor_list = ?', [primary.server.address]);
  await server.query(`CLONE INSTANCE FROM ?@?:${primary.server.port} IDENTIFIED BY ?`, [
    user,
    primary.server.host,
    password,
  ]);
  const answers = (): Promise<boolean> =>
    server.query('SELECT 1').then(
      () => server.pid !== pid,
      () => false,
    );
  await until(`${name} runs again after it was cloned`, answers, { signal, timeout: 20_000 });
}
