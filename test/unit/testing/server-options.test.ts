import { expect, test } from 'vitest';
import { accountStatements } from '../../../src/testing/accounts.js';
import { resetStatements } from '../../../src/testing/reset-server.js';
import {
  renderOptions,
  semiSyncArguments,
  serverArguments,
  versionNumber,
} from '../../../src/testing/server-options.js';
import { chosenVersion } from '../../../src/testing/server-program.js';
import { parseAddresses } from '../../../src/testing/test-servers.js';

test('versions compare as numbers', () => {
  expect(['5.6.24', '8.0.26', '9.7.4-2'].map(versionNumber)).toEqual([50624, 80026, 90704]);
});

test('options become arguments', () => {
  expect(
    renderOptions({ read_only: true, 'log-bin': false, skip_replica_start: false, port: 1, gtid_mode: 'ON' }),
  ).toEqual(['--read_only', '--skip-log-bin', '--skip_replica_start=OFF', '--port=1', '--gtid_mode=ON']);
  expect(renderOptions(['--a=1', 'b'])).toEqual(['--a=1', '--b']);
});

test('each version gets its own words', () => {
  const at = { port: 1, serverId: 2, datadir: '/d', tmpdir: '/t' };
  const [old, current] = [serverArguments(50624, at), serverArguments(90704, at)];
  expect(current).toEqual(expect.arrayContaining(['--log_replica_updates=ON', '--skip_replica_start', '--mysqlx=0']));
  expect(old).toEqual(expect.arrayContaining(['--log_slave_updates', '--skip_slave_start', '--binlog_format=ROW']));
  expect(old.join(' ')).not.toMatch(/replica|mysqlx|secure_file_priv|redo_log_capacity/);
  expect(current.join(' ')).not.toMatch(/slave|expire_logs_days|binlog_format/);
  expect(serverArguments(80025, at)).toContain('--log_slave_updates');
});

test('semi-sync plugins were renamed', () => {
  expect(semiSyncArguments(90704)).toEqual([
    '--plugin-load-add=semisync_source.so',
    '--plugin-load-add=semisync_replica.so',
  ]);
  expect(semiSyncArguments(50744)).toEqual([
    '--plugin-load-add=semisync_master.so',
    '--plugin-load-add=semisync_slave.so',
  ]);
  expect(() => semiSyncArguments(50624)).toThrow('5.7');
});

test('statements stand on one line each', () => {
  for (const version of [50624, 90704]) {
    expect(accountStatements(version).every(statement => /^[^\n]+;$/.test(statement))).toBe(true);
  }
});

test('a reset speaks the language of the version', () => {
  expect(resetStatements(50624)).toMatchObject({ before: ['STOP SLAVE', 'RESET SLAVE ALL'] });
  expect(resetStatements(80036).after).toContain('RESET MASTER');
  expect(resetStatements(90704)).toMatchObject({ before: ['STOP REPLICA', 'RESET REPLICA ALL'] });
  expect(resetStatements(90704).after).toContain('RESET BINARY LOGS AND GTIDS');
});

test('only offered versions can be asked for', () => {
  expect(chosenVersion('5.6')).toBe('5.6');
  expect(() => chosenVersion('5.5')).toThrow('MySQL 5.5 is not offered; there are: 9.7, 5.6');
});

test('addresses', () => {
  expect(parseAddresses(' db1:3306,[::1]:3307, ')).toEqual([
    { host: 'db1', port: 3306 },
    { host: '::1', port: 3307 },
  ]);
  expect(parseAddresses('')).toEqual([]);
  for (const wrong of ['db1', 'db1:0', 'db1:70000', ':3306', 'a:b:1'])
    expect(() => parseAddresses(wrong)).toThrow(TypeError);
});
