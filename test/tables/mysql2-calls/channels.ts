import { tracingChannel } from 'node:diagnostics_channel';
import type mysql from 'mysql2';
import { type Call, call, called, connection, differing, type Log, lent, pool } from './call.js';

/** mysql2's diagnostics channels. */

const EVENTS = ['start', 'end', 'asyncStart', 'asyncEnd', 'error'] as const;

/** What a channel tells meanwhile, but for what the group's own node does in this process: that is in no database. */
async function told(name: string, log: Log, work: () => Promise<void> | void): Promise<void> {
  const channel = tracingChannel<object, Record<string, unknown>>(name);
  const subscribers = Object.fromEntries(
    EVENTS.map(event => [
      event,
      ({ query, database, error }: Record<string, unknown>) => {
        if (database !== '') log(event, query, database, (error as mysql.QueryError | undefined)?.code);
      },
    ]),
  ) as never;
  channel.subscribe(subscribers);
  await work();
  channel.unsubscribe(subscribers);
}

export const channelCalls: readonly Call[] = [
  ...(['query', 'execute'] as const).flatMap(verb =>
    ['SELECT 1 AS a', 'SELEKT'].map(sql =>
      call(
        `mysql2:${verb}: ${sql}`,
        `Connection.${verb}`,
        connection((it, log) => told(`mysql2:${verb}`, log, () => called(log, callback => it[verb](sql, callback)))),
      ),
    ),
  ),
  call('mysql2:connect', 'Connection.connect', (doors, log) =>
    told('mysql2:connect', log, () => connection(() => {})(doors, log)).then(() => log('done')),
  ),
  call('mysql2:pool:connect', 'Pool.getConnection', (doors, log) =>
    told('mysql2:pool:connect', log, () => lent(() => {})(doors, log)),
  ),
  differing(
    'mysql2:pool:connect of pool.query',
    call('mysql2:pool:connect of pool.query', 'Pool.query', (doors, log) =>
      told('mysql2:pool:connect', log, () =>
        pool(async it =>
          called(
            () => {},
            callback => it.query('SELECT 1', callback),
          ),
        )(doors, log),
      ),
    ),
  ),
];
