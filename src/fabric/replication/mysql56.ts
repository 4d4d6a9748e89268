/** MySQL 5.6, and 5.7 to 8.0.21 which speak the same words and add channels, `super_read_only` and (8.0.4) the source's public key. */

/**
 * MySQL 5.6: one source only and no `super_read_only`, so fencing must end the sessions that `read_only` does not stop.
 */
export const mysql56 = {
  name: 'MySQL 5.6',
  superReadOnly: false,
  netTimeout: 'slave_net_timeout',
  status: 'SHOW SLAVE STATUS',
  start: 'START SLAVE',
  startReceiving: 'START SLAVE IO_THREAD',
  startApplying: 'START SLAVE SQL_THREAD',
  stop: 'STOP SLAVE',
  stopReceiving: 'STOP SLAVE IO_THREAD',
  forgetSource: 'RESET SLAVE ALL',
  changeSource: change(''),
} as const;

/** MySQL 5.7.9 to 8.0.3. Only the default channel is ours: a server may have others. */
export const mysql57 = {
  name: 'MySQL 5.7',
  superReadOnly: true,
  netTimeout: 'slave_net_timeout',
  status: "SHOW SLAVE STATUS FOR CHANNEL ''",
  start: "START SLAVE FOR CHANNEL ''",
  startReceiving: "START SLAVE IO_THREAD FOR CHANNEL ''",
  startApplying: "START SLAVE SQL_THREAD FOR CHANNEL ''",
  stop: "STOP SLAVE FOR CHANNEL ''",
  stopReceiving: "STOP SLAVE IO_THREAD FOR CHANNEL ''",
  forgetSource: "RESET SLAVE ALL FOR CHANNEL ''",
  changeSource: change(" FOR CHANNEL ''"),
} as const;

/** MySQL 8.0.4 to 8.0.21: the default authentication needs the source's public key where there is no TLS. */
export const mysql804 = {
  ...mysql57,
  name: 'MySQL 8.0',
  changeSource: change(", GET_MASTER_PUBLIC_KEY = 1 FOR CHANNEL ''"),
} as const;

function change(end: string): string {
  return `CHANGE MASTER TO MASTER_HOST = ?, MASTER_PORT = ?, MASTER_USER = ?, MASTER_PASSWORD = ?, MASTER_AUTO_POSITION = 1,
    MASTER_CONNECT_RETRY = 1, MASTER_RETRY_COUNT = 86400, MASTER_HEARTBEAT_PERIOD = 1${end}`;
}
