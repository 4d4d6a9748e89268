import type { Address, ReplicaStatus } from './replication.js';
import { type Row, text } from './session.js';

/** Reads the row of SHOW REPLICA STATUS, or of SHOW SLAVE STATUS with its old column names. */
export function toReplicaStatus(row: Row): ReplicaStatus {
  const behind = column(row, 'Seconds_Behind_Source');
  return {
    source: { host: text(column(row, 'Source_Host')), port: Number(column(row, 'Source_Port')) },
    sourceUuid: text(column(row, 'Source_UUID')),
    ioThread: IO_STATES[text(column(row, 'Replica_IO_Running'))] ?? 'stopped',
    sqlThread: column(row, 'Replica_SQL_Running') === 'Yes' ? 'running' : 'stopped',
    ioError: text(row.Last_IO_Error),
    sqlError: text(row.Last_SQL_Error),
    ioErrno: Number(row.Last_IO_Errno),
    sqlErrno: Number(row.Last_SQL_Errno),
    retrieved: text(row.Retrieved_Gtid_Set).replace(/\s/g, ''),
    delay: Number(row.SQL_Delay ?? 0),
    secondsBehind: behind === null || behind === undefined ? null : Number(behind),
  };
}

/** Whether a replica receives from `source` and applies. 5.6 says that its thread runs before it knows whom it talks to. */
export function isRunning(status: ReplicaStatus, source: Address): boolean {
  const { ioThread, sqlThread, sourceUuid } = status;
  const right = status.source.host === source.host && status.source.port === source.port;
  return right && ioThread === 'running' && sqlThread === 'running' && sourceUuid !== '';
}

/** The account that the replica connects with. */
export function sourceUser(row: Row): string {
  return text(column(row, 'Source_User'));
}

const IO_STATES: Readonly<Record<string, ReplicaStatus['ioThread']>> = { Yes: 'running', Connecting: 'connecting' };

/** By its new name; old servers say Master and Slave for Source and Replica. */
function column(row: Row, name: string): unknown {
  return name in row ? row[name] : row[name.replace('Source', 'Master').replace('Replica', 'Slave')];
}
