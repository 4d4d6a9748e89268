/** Options of mysqld in the dialect of its version, and how a caller's own are written. Pure. */

/** Options of mysqld by name (`_` or `-`): true and false switch one on and off. Or lines as on its command line. */
export type ServerOptions = Readonly<Record<string, string | number | boolean>> | readonly string[];

type OptionRecord = Record<string, string | number | boolean>;

/** '9.7.4' -> 90704: versions that compare as numbers. */
export function versionNumber(version: string): number {
  const [major = 0, minor = 0, patch = 0] = version.split('.').map(part => Number.parseInt(part, 10));
  return major * 10_000 + minor * 100 + patch;
}

/** A caller's options as command-line arguments, in the order given; mysqld lets the last of equals win. */
export function renderOptions(options: ServerOptions): string[] {
  if (Array.isArray(options)) return options.map(line => (line.startsWith('--') ? line : `--${line}`));
  return Object.entries(options).map(([name, value]) => renderOption(name, value));
}

function renderOption(name: string, value: string | number | boolean): string {
  if (value === true) return `--${name}`;
  // mysqld knows `--skip-x` for every boolean x, but no `--skip-skip-x`
  if (value === false) return /^skip[-_]/.test(name) ? `--${name}=OFF` : `--skip-${name}`;
  return `--${name}=${value}`;
}

/** Small memory and no syncing: what makes a server quick to start and cheap to keep. */
function smallOptions(version: number): OptionRecord {
  return {
    skip_name_resolve: true,
    performance_schema: 'OFF',
    innodb_buffer_pool_size: '8M',
    ...(version >= 80030 ? { innodb_redo_log_capacity: '8M' } : { innodb_log_file_size: '4M' }),
    innodb_log_buffer_size: '1M',
    innodb_flush_log_at_trx_commit: 2,
    innodb_doublewrite: 'OFF',
    innodb_buffer_pool_load_at_startup: 'OFF',
    innodb_buffer_pool_dump_at_shutdown: 'OFF',
    innodb_use_native_aio: 'OFF',
    innodb_read_io_threads: 1,
    innodb_write_io_threads: 1,
    innodb_purge_threads: 1,
    key_buffer_size: '8K',
    tmp_table_size: '1M',
    table_open_cache: 200,
    table_open_cache_instances: 1,
    table_definition_cache: 400,
    max_connections: 100,
    max_connect_errors: 100_000,
    thread_cache_size: 16,
    // before 5.6.34 there is no NULL here; later, a folder that was compiled in and is missing stops the server
    ...(version >= 50700 ? { secure_file_priv: 'NULL', log_error_verbosity: 2 } : {}),
    ...(version >= 80000 ? { mysqlx: 0, temptable_max_ram: '2M' } : {}),
  };
}

/** Binary log, GTIDs, and a replica that waits to be started. Words changed in 8.0.26. */
function replicationOptions(version: number): OptionRecord {
  const shared: OptionRecord = {
    log_bin: 'bin',
    sync_binlog: 0,
    gtid_mode: 'ON',
    enforce_gtid_consistency: 'ON',
    relay_log: 'relay',
    relay_log_recovery: 'ON',
    report_host: '127.0.0.1',
    ...(version >= 80000 ? { binlog_expire_logs_seconds: 0 } : { expire_logs_days: 0, binlog_format: 'ROW' }),
  };
  if (version >= 80026) {
    return { ...shared, log_replica_updates: 'ON', skip_replica_start: true, replica_parallel_workers: 1 };
  }
  const old: OptionRecord = { ...shared, log_slave_updates: true, skip_slave_start: true };
  // files would forget the position when the server is killed
  return version < 80000 ? { ...old, master_info_repository: 'TABLE', relay_log_info_repository: 'TABLE' } : old;
}

/** Arguments for the initialising run, but for its folders: no binary log, so that no GTID is ever part of the template. */
export function initialiseArguments(version: number): string[] {
  return [...renderOptions(smallOptions(version)), ...asRoot(), '--skip-log-bin'];
}

/** What a server is started with, before the caller's own options. Files are relative to the data directory. */
export function serverArguments(
  version: number,
  address: { port: number; serverId: number; datadir: string; tmpdir: string },
): string[] {
  return [
    ...asRoot(),
    ...renderOptions({
      datadir: address.datadir,
      // its own: a server that starts removes the temporary tables of all others in the folder
      tmpdir: address.tmpdir,
      port: address.port,
      server_id: address.serverId,
      bind_address: '127.0.0.1',
      // relative, for the path of a socket may be 107 bytes long only
      socket: 'mysqld.sock',
      pid_file: 'mysqld.pid',
      ...smallOptions(version),
      ...replicationOptions(version),
    }),
  ];
}

/**
 * Arguments that load both semi-synchronous plugins; they stay switched off until a test enables them.
 * Throws before 5.7: the 5.6 that is fetched has no plugins.
 */
export function semiSyncArguments(version: number): string[] {
  if (version < 50700)
    throw new Error('semiSync needs MySQL 5.7 or later: the MySQL 5.6 that is fetched has no plugins');
  const plugins = version >= 80026 ? ['semisync_source', 'semisync_replica'] : ['semisync_master', 'semisync_slave'];
  return plugins.map(plugin => `--plugin-load-add=${plugin}.so`);
}

/** mysqld refuses to run as root unless told so by name. */
function asRoot(): string[] {
  return process.getuid?.() === 0 ? ['--user=root'] : [];
}
