/** MySQL 8.0.22 and newer, with the words replica and source; they came in three steps. */

/** 8.0.26 and newer, 8.4 and 9.x: nothing is called slave or master any more, and from 8.4 nothing may be. */
export const mysql80 = {
  name: 'MySQL 8.0.26+',
  superReadOnly: true,
  netTimeout: 'replica_net_timeout',
  status: "SHOW REPLICA STATUS FOR CHANNEL ''",
  start: "START REPLICA FOR CHANNEL ''",
  startReceiving: "START REPLICA IO_THREAD FOR CHANNEL ''",
  startApplying: "START REPLICA SQL_THREAD FOR CHANNEL ''",
  stop: "STOP REPLICA FOR CHANNEL ''",
  stopReceiving: "STOP REPLICA IO_THREAD FOR CHANNEL ''",
  forgetSource: "RESET REPLICA ALL FOR CHANNEL ''",
  changeSource: `CHANGE REPLICATION SOURCE TO SOURCE_HOST = ?, SOURCE_PORT = ?, SOURCE_USER = ?, SOURCE_PASSWORD = ?, SOURCE_AUTO_POSITION = 1,
    SOURCE_CONNECT_RETRY = 1, SOURCE_RETRY_COUNT = 86400, SOURCE_HEARTBEAT_PERIOD = 1, GET_SOURCE_PUBLIC_KEY = 1 FOR CHANNEL ''`,
} as const;

/** 8.0.23 to 8.0.25: the system variables still have their old names. */
export const mysql8023 = { ...mysql80, name: 'MySQL 8.0.23', netTimeout: 'slave_net_timeout' } as const;

/** 8.0.22: START, STOP, RESET and SHOW REPLICA exist, CHANGE REPLICATION SOURCE does not yet. */
export const mysql8022 = {
  ...mysql8023,
  name: 'MySQL 8.0.22',
  changeSource: `CHANGE MASTER TO MASTER_HOST = ?, MASTER_PORT = ?, MASTER_USER = ?, MASTER_PASSWORD = ?, MASTER_AUTO_POSITION = 1,
    MASTER_CONNECT_RETRY = 1, MASTER_RETRY_COUNT = 86400, MASTER_HEARTBEAT_PERIOD = 1, GET_MASTER_PUBLIC_KEY = 1 FOR CHANNEL ''`,
} as const;
