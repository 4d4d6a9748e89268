import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ConfigSources, complete, loadConfig } from '../../../src/fabric/config-file.js';
import { ConfigError } from '../../../src/fabric/config-ini.js';
import { CONFIG_KEYS } from '../../../src/fabric/config-keys.js';
import { createFabric } from '../../../src/fabric/node.js';
import { parseFabricOptions } from '../../../src/fabric/options.js';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'fabric-config-'));
});
afterEach(() => {
  rmSync(dir, { recursive: true, force: true });
});

const write = (name: string, text: string): string => {
  writeFileSync(join(dir, name), text);
  return join(dir, name);
};
/** Of a fabric.cfg with this text. */
const load = (text: string, more: Partial<ConfigSources> = {}) => {
  write('fabric.cfg', text);
  return loadConfig({ env: {}, cwd: dir, ...more });
};
const messageOf = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as Error).message.replaceAll(`${dir}/`, '');
  }
  throw new Error('it was taken');
};

const NEEDED = '[servers]\npassword = s3\n[protocol.xmlrpc]\npassword = x3\n';

/** As the original's installer writes it. */
const ORIGINAL = `[DEFAULT]
prefix =
sysconfdir = /etc/mysql
logdir = /var/log

[storage]
auth_plugin = mysql_native_password
database = fabric
user = fabric
password = st0rage
address = localhost:3306
connection_delay = 1
connection_timeout = 6
connection_attempts = 6

[servers]
user = fabric
password = s3rvers
backup_user = fabric_backup
backup_password = b
restore_user = fabric_restore
restore_password = r
unreachable_timeout = 4

[protocol.xmlrpc]
disable_authentication = no
ssl_cert =
realm = MySQL Fabric
ssl_key =
ssl_ca =
threads = 5
user = admin
password = xmlrpc1
address = localhost:32274

[protocol.mysql]
disable_authentication = no
ssl_cert =
ssl_key =
ssl_ca =
user = admin
password = mysql1
address = localhost:32275

[executor]
executors = 5

[logging]
level = INFO
url = file:///var/log/fabric.log

[sharding]
prune_limit = 10000
mysqldump_program = /usr/bin/mysqldump
mysqlclient_program = /usr/bin/mysql

[statistics]
prune_time = 3600

[failure_tracking]
notification_interval = 60
notification_clients = 50
detection_timeout = 1
detection_interval = 7
notifications = 300
detections = 3
failover_interval = 0
prune_time = 3600

[connector]
ttl = 1
`;

describe("a file of the original's", () => {
  it('is taken as it is', () => {
    const { options, logging } = load(ORIGINAL);
    const parsed = parseFabricOptions(options);
    expect(parsed.servers).toEqual({ user: 'fabric', password: 's3rvers', unreachableTimeout: 4 });
    expect(parsed.protocol.xmlrpc).toMatchObject({ address: 'localhost:32274', user: 'admin', password: 'xmlrpc1' });
    expect(parsed.protocol.mysql).toMatchObject({ address: 'localhost:32275', password: 'mysql1' });
    expect(parsed.failureTracking.detectionInterval).toBe(7);
    expect(logging).toEqual({ level: 'INFO', file: '/var/log/fabric.log' });
  });

  it.each([
    ['address = db0:3306', 'mysql'],
    ['user = fabric', 'mysql'],
    ['password = st0rage', 'mysql'],
    ['database = fabric', 'mysql'],
    ['type = memory\nuser = fabric', 'memory'],
    ['file = state.sqlite', 'sqlite'],
    ['file = state.sqlite\naddress = db0:3306', 'mysql'],
    ['connection_delay = 1', undefined],
  ])('has its state where what it names is, unless it says otherwise: %j', (lines, type) => {
    const { storage } = load(`${NEEDED}[storage]\n${lines}\n`).options;
    expect(storage?.type).toBe(type);
  });

  it('has a note for everything without an effect, and none shows a secret', () => {
    const notes = load(ORIGINAL).notes.map(note => note.replaceAll(`${dir}/`, ''));
    expect(notes).toContain('fabric.cfg:46: [executor] executors has no effect: this node does not have it.');
    expect(notes.filter(note => /ssl_|st0rage|s3rvers|xmlrpc1/.test(note))).toEqual([]);
  });

  it('without [protocol.mysql] does not speak the MySQL protocol, with an empty one it needs a password', () => {
    expect(parseFabricOptions(load(NEEDED).options).protocol.mysql).toBeUndefined();
    expect(() => parseFabricOptions(load(`${NEEDED}[protocol.mysql]\n`).options)).toThrow('protocol.mysql.password');
  });
});

describe('its form', () => {
  it('knows no case in names, both separators, comments, and values with anything in them', () => {
    const text = `# first\r\n[SERVERS]\r\nUser: "me"\r\nPASSWORD = a;b#c=d:%(x\r\n; more\r\n[Connector]\r\n  TTL = 7 ; seconds\r\n`;
    expect(load(text).options).toMatchObject({
      servers: { user: '"me"', password: 'a;b#c=d:%(x' },
      connector: { ttl: 7 },
    });
  });

  it('fills in %(...)s from the section, from [DEFAULT], and one in another', () => {
    const text = `[DEFAULT]\nroot = /srv\nLogDir = %(ROOT)s/log\nunreachable_timeout = 9\n
      [logging]\nname = fabric\n`;
    expect(messageOf(() => load(text))).toBe('fabric.cfg:7: there is no setting [logging] name.');
    const { logging, options } = load(
      '[DEFAULT]\nroot = /srv\nlogdir = %(root)s/log\nunreachable_timeout = 9\n[logging]\nlevel = debug\nurl = file:%(level)s-100%%.log\n[servers]\n',
    );
    expect(logging).toEqual({ level: 'DEBUG', file: '/srv/log/debug-100%.log' });
    expect(options.servers).toEqual({ unreachableTimeout: 9 });
  });

  it("takes the original's syslog, and says that it does not write there", () => {
    const text = '[logging]\nurl = syslog:///dev/log\n';
    const { logging, notes } = load(text);
    expect(logging).toEqual({ level: 'INFO', file: null });
    expect(notes.join().replaceAll(`${dir}/`, '')).toBe(
      'fabric.cfg:2: [logging] url syslog:///dev/log has no effect: this node logs to stderr or to a file, and now to stderr.',
    );
    expect(load(text, { params: ['logging.url=file:log'] })).toMatchObject({
      notes: [],
      logging: { file: join(dir, 'log') },
    });
  });

  it('takes the last of two, and says so', () => {
    const { options, notes } = load('[connector]\nttl = 1\n[connector]\nttl = 2\n');
    expect(options.connector).toEqual({ ttl: 2 });
    expect(notes.join().replaceAll(`${dir}/`, '')).toBe(
      'fabric.cfg:4: [connector] ttl is given again; line 2 does not count.',
    );
  });

  it.each([
    ['ttl = 1', "fabric.cfg:1: 'ttl' stands before the first [section]."],
    ['[connector]\nttl', "fabric.cfg:2: neither a [section] nor 'key = value'."],
    ['[servers]\nuser = %(who)s', 'fabric.cfg:2: [servers] user: %(who)s is neither in [servers] nor in [DEFAULT].'],
    ['[servers]\nuser = %(user)s', 'fabric.cfg:2: [servers] user is made of itself, by way of %(...)s.'],
    ['\n[servers]\npasword = x', 'fabric.cfg:3: there is no setting [servers] pasword.'],
    ['[nowhere]\nx = 1', 'fabric.cfg:2: there is no setting [nowhere] x.'],
    ['[failure_tracking]\ndetections = many', 'fabric.cfg:2: [failure_tracking] detections must be a number.'],
    ['[failure_tracking]\ndetections = 2.5', 'fabric.cfg:2: [failure_tracking] detections must be a whole number.'],
    ['[connector]\nTTL = -1', 'fabric.cfg:2: [connector] ttl must be from 0 to 86400.'],
    ['[protocol.xmlrpc]\naddress = a:b:c', 'fabric.cfg:2: [protocol.xmlrpc] address must be host:port.'],
    [
      '[protocol.xmlrpc]\ndisable_authentication = perhaps',
      'fabric.cfg:2: [protocol.xmlrpc] disable_authentication must be yes or no.',
    ],
    ['[logging]\nlevel = LOUD', 'fabric.cfg:2: [logging] level must be one of CRITICAL, ERROR, WARNING, INFO, DEBUG.'],
    ['[logging]\nurl = http://log', 'fabric.cfg:2: [logging] url must be stderr or file:<path>.'],
    [
      '[servers]\npassword = a\npassword_file = b',
      'fabric.cfg:3: [servers] has both password and password_file; give one.',
    ],
    ['[servers]\npassword_file = nowhere', 'fabric.cfg:2: [servers] password_file nowhere cannot be read (ENOENT).'],
  ])('names what is wrong with %j', (text, message) => {
    expect(messageOf(() => load(text))).toBe(message);
  });
});

describe('where it comes from', () => {
  const env = { MYSQL2_FABRIC_CONNECTOR_TTL: '3', MYSQL2_FABRIC_PROTOCOL_XMLRPC_PASSWORD: 'from env' };

  it('parameter before environment before file before default', () => {
    const text = `${NEEDED}[connector]\nttl = 2\n`;
    const ttl = (more: Partial<ConfigSources>, content = text) =>
      parseFabricOptions(load(content, more).options).connector.ttl;
    expect(ttl({ env, params: ['Connector.TTL=4'] })).toBe(4);
    expect(ttl({ env })).toBe(3);
    expect(ttl({})).toBe(2);
    expect(ttl({}, NEEDED)).toBe(1);
    expect(load(text, { env }).caller.password).toBe('from env');
    expect(load(text, { env: { MYSQL2_FABRIC_CONNECTOR_TTL: '' } }).options.connector).toEqual({ ttl: 2 });
  });

  it('has a variable for every key', () => {
    for (const { section, key, option, file, default: common } of CONFIG_KEYS.values()) {
      if (option === null) continue;
      const fallback = file ? join(dir, 'state') : (common ?? 'secret');
      const value = file ? 'state' : String(fallback);
      const name = `MYSQL2_FABRIC_${section.replace('.', '_')}_${key}`.toUpperCase();
      const { options } = loadConfig({ env: { [name]: value }, cwd: dir });
      const found = option.reduce<unknown>((node, part) => (node as Record<string, unknown>)[part], options);
      expect(found, name).toBe(fallback);
    }
  });

  it('takes secrets from files, relative to the one that names them', () => {
    const secret = write('secret', 'pa ss\n');
    expect(load('[servers]\npassword_file = secret\n').options.servers.password).toBe('pa ss');
    const byEnv = load(NEEDED, { env: { MYSQL2_FABRIC_SERVERS_PASSWORD_FILE: secret } });
    expect(byEnv.options.servers.password).toBe('pa ss');
    expect(load(NEEDED, { params: ['protocol.xmlrpc.password_file=secret'] }).caller.password).toBe('pa ss');
  });

  it('takes names of files as relative to whatever names them', () => {
    mkdirSync(join(dir, 'etc'), { recursive: true });
    write(
      'etc/own.cfg',
      '[storage]\nfile = state\n[protocol.xmlrpc]\nssl_cert = tls/cert.pem\nssl_key = /tls/key.pem\n',
    );
    const named = (more: Partial<Parameters<typeof loadConfig>[0]> = {}) => load('', { file: 'etc/own.cfg', ...more });
    const { options, caller } = named();
    expect(options.storage?.file).toBe(join(dir, 'etc/state'));
    expect(options.protocol?.xmlrpc).toMatchObject({ sslCert: join(dir, 'etc/tls/cert.pem'), sslKey: '/tls/key.pem' });
    expect(caller.sslCert).toBe(join(dir, 'etc/tls/cert.pem'));
    expect(named({ params: ['storage.file=state'] }).options.storage?.file).toBe(join(dir, 'state'));
    expect(named({ env: { MYSQL2_FABRIC_STORAGE_FILE: 'x/state' } }).options.storage?.file).toBe(join(dir, 'x/state'));
  });

  it.each([
    [['servers.password=x'], /^--param servers\.password: everybody .* --param servers\.password_file=<path>\.$/],
    [['ttl=5'], /^--param must be section\.key=value/],
    [['connector.ttl=x'], /^--param: \[connector\] ttl must be a number\.$/],
    [['connector.tttl=1'], /^--param: there is no setting \[connector\] tttl\.$/],
  ])('refuses the parameters %j', (params, message) => {
    expect(messageOf(() => load('', { params }))).toMatch(message);
  });

  it('refuses variables that are nearly ours, and leaves those of others alone', () => {
    expect(messageOf(() => load('', { env: { MYSQL2_FABRIC_SERVERS_PASWORD: 'x' } }))).toBe(
      'MYSQL2_FABRIC_SERVERS_PASWORD: there is no such setting.',
    );
    expect(load('', { env: { MYSQL2_FABRIC_MYSQLD: '/bin/mysqld' } }).notes).toEqual([]);
  });

  it('reads the file that is named, by option or variable, else the usual one', () => {
    const other = write('other.cfg', '[connector]\nttl = 9\n');
    expect(load('', { file: 'other.cfg' }).file).toBe(other);
    expect(load('', { env: { MYSQL2_FABRIC_CONFIG: other } }).options.connector).toEqual({ ttl: 9 });
    expect(load('').file).toBe(join(dir, 'fabric.cfg'));
    expect(messageOf(() => load('', { file: 'nowhere.cfg' }))).toBe(
      'The configuration file nowhere.cfg cannot be read (ENOENT).',
    );
  });

  it('tells where to call the node', () => {
    expect(load('').caller).toEqual({
      host: '127.0.0.1',
      port: 32_274,
      open: false,
      user: 'admin',
      password: undefined,
    });
    expect(load('[protocol.xmlrpc]\naddress = 0.0.0.0:1\ndisable_authentication = YES\n').caller).toMatchObject({
      host: '127.0.0.1',
      port: 1,
      open: true,
    });
  });
});

describe('what is missing', () => {
  it('is named in the words of the file, with the ways to give it', () => {
    const { options } = load('[servers]\nuser = x\n');
    expect(messageOf(() => complete(() => createFabric(options)))).toBe(
      '[servers] password must be given: password or password_file in the configuration file, or ' +
        'MYSQL2_FABRIC_SERVERS_PASSWORD or MYSQL2_FABRIC_SERVERS_PASSWORD_FILE in the environment.',
    );
  });

  it('leaves other errors as they are', () => {
    expect(() =>
      complete(() => {
        throw new RangeError('other');
      }),
    ).toThrow(new RangeError('other'));
  });
});

describe('examples/fabric.cfg', () => {
  const text = readFileSync(join(import.meta.dirname, '../../../examples/fabric.cfg'), 'utf8');

  it('works', () => {
    parseFabricOptions(load(text).options);
  });

  it('shows every key with its default', () => {
    for (const { section, key, default: fallback } of CONFIG_KEYS.values()) {
      const [, part = ''] = text.split(`\n[${section}]\n`);
      const found = new RegExp(`^#?${key} =(?: (.+))?$`, 'm').exec(part.split(/\n\[/)[0] ?? '');
      expect(found, `[${section}] ${key}`).not.toBeNull();
      const shown = typeof fallback === 'boolean' ? (fallback ? 'yes' : 'no') : fallback;
      if (shown !== undefined) expect(found?.[1], `[${section}] ${key}`).toBe(String(shown) || undefined);
    }
  });
});
