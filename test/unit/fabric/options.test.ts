import { describe, expect, it } from 'vitest';
import { OPTION_TABLE } from '../../../src/fabric/option-table.js';
import { type FabricNodeOptions, parseFabricOptions } from '../../../src/fabric/options.js';

const minimal: FabricNodeOptions = {
  servers: { password: 'secret' },
  protocol: { xmlrpc: { password: 'admin-secret' } },
};

describe('parseFabricOptions', () => {
  it('fills in the defaults of the original configuration file', () => {
    expect(parseFabricOptions(minimal)).toEqual({
      servers: { user: 'fabric', password: 'secret', unreachableTimeout: 5 },
      protocol: {
        xmlrpc: {
          address: '127.0.0.1:32274',
          user: 'admin',
          password: 'admin-secret',
          disableAuthentication: false,
          sslCa: '',
          sslCert: '',
          sslKey: '',
          maxConnections: 1_000,
          maxRequestSize: 1_048_576,
          maxHeaderSize: 16_384,
          maxPipelined: 20,
          headersTimeout: 10,
          requestTimeout: 30,
          idleTimeout: 60,
        },
      },
      failureTracking: {
        detections: 3,
        detectionInterval: 6,
        detectionTimeout: 1,
        notifications: 300,
        notificationClients: 50,
        notificationInterval: 60,
        failoverInterval: 0,
      },
      connector: { ttl: 1 },
      storage: {
        type: 'memory',
        file: 'fabric.sqlite',
        address: 'localhost:3306',
        user: 'fabric',
        password: '',
        database: 'fabric',
        connectionTimeout: 6,
        connectionAttempts: 6,
        connectionDelay: 1,
      },
    });
  });

  it('needs a password of the state store where that is on a server', () => {
    const storage = { type: 'mysql', password: 'x', database: 'state' } as const;
    expect(parseFabricOptions({ ...minimal, storage }).storage).toMatchObject(storage);
  });

  it('freezes what it gives and leaves the input alone', () => {
    const given = structuredClone(minimal);
    const options = parseFabricOptions(given);
    expect(given).toEqual(minimal);
    for (const value of [
      options,
      options.servers,
      options.protocol,
      options.protocol.xmlrpc,
      options.failureTracking,
    ]) {
      expect(Object.isFrozen(value)).toBe(true);
    }
  });

  it('needs no password where authentication is off', () => {
    const given = { ...minimal, protocol: { xmlrpc: { disableAuthentication: true } } };
    expect(parseFabricOptions(given).protocol.xmlrpc).toMatchObject({ password: '', disableAuthentication: true });
  });

  it('takes fractions of a second for the detector', () => {
    const failureTracking = { detectionInterval: 0.1, detectionTimeout: 0.25 };
    expect(parseFabricOptions({ ...minimal, failureTracking }).failureTracking).toMatchObject(failureTracking);
  });

  it('takes undefined as not given', () => {
    const given = { ...minimal, connector: { ttl: undefined } } as unknown as FabricNodeOptions;
    expect(parseFabricOptions(given).connector.ttl).toBe(1);
  });

  it('takes zero where zero means something', () => {
    const given = { ...minimal, connector: { ttl: 0 }, failureTracking: { failoverInterval: 0 } };
    expect(parseFabricOptions(given)).toMatchObject({
      connector: { ttl: 0 },
      failureTracking: { failoverInterval: 0 },
    });
  });

  const refused: readonly [option: string, kind: typeof TypeError | typeof RangeError, change: object][] = [
    ['servers.password', TypeError, { servers: {} }],
    ['servers.password', TypeError, { servers: undefined }],
    ['servers.password', TypeError, { servers: { password: '' } }],
    ['servers', TypeError, { servers: 'secret' }],
    ['servers', TypeError, { servers: null }],
    ['servers.usr', TypeError, { servers: { password: 'x', usr: 'y' } }],
    ['servers.constructor', TypeError, { servers: { password: 'x', constructor: 'y' } }],
    ['servers.unreachableTimeout', RangeError, { servers: { password: 'x', unreachableTimeout: 0.5 } }],
    ['servers.unreachableTimeout', RangeError, { servers: { password: 'x', unreachableTimeout: 61 } }],
    ['servers.unreachableTimeout', RangeError, { servers: { password: 'x', unreachableTimeout: Number.NaN } }],
    ['servers.unreachableTimeout', TypeError, { servers: { password: 'x', unreachableTimeout: '5' } }],
    ['sharding', TypeError, { sharding: {} }],
    ['protocol.xmlrpc.password', TypeError, { protocol: {} }],
    ['protocol.xmlrpc.password', TypeError, { protocol: { xmlrpc: { password: null } } }],
    ['protocol.xmlrpc', TypeError, { protocol: { xmlrpc: [] } }],
    ['protocol.xmlrpc.address', RangeError, { protocol: { xmlrpc: { password: 'x', address: 'a:b' } } }],
    ['protocol.xmlrpc.address', RangeError, { protocol: { xmlrpc: { password: 'x', address: 'a:65536' } } }],
    ['protocol.xmlrpc.disableAuthentication', TypeError, { protocol: { xmlrpc: { disableAuthentication: 'yes' } } }],
    ['protocol.mysql.password', TypeError, { protocol: { ...minimal.protocol, mysql: {} } }],
    ['protocol.http', TypeError, { protocol: { ...minimal.protocol, http: {} } }],
    ['failureTracking.detections', RangeError, { failureTracking: { detections: 0 } }],
    ['failureTracking.detections', RangeError, { failureTracking: { detections: 1.5 } }],
    ['failureTracking.detectionInterval', RangeError, { failureTracking: { detectionInterval: 0.09 } }],
    ['failureTracking.detectionTimeout', RangeError, { failureTracking: { detectionTimeout: 0 } }],
    ['failureTracking.notifications', RangeError, { failureTracking: { notifications: 0 } }],
    ['failureTracking.notificationClients', RangeError, { failureTracking: { notificationClients: 0 } }],
    ['failureTracking.notificationInterval', RangeError, { failureTracking: { notificationInterval: 3_601 } }],
    ['failureTracking.failoverInterval', RangeError, { failureTracking: { failoverInterval: -1 } }],
    ['connector.ttl', RangeError, { connector: { ttl: 0.5 } }],
    ['connector.TTL', TypeError, { connector: { TTL: 1 } }],
    ['storage.type', RangeError, { storage: { type: 'etcd' } }],
    ['storage.password', TypeError, { storage: { type: 'mysql' } }],
    ['storage.address', RangeError, { storage: { address: 'localhost:0' } }],
    ['storage.database', RangeError, { storage: { database: 'a`b' } }],
    ['storage.file', TypeError, { storage: { file: '' } }],
    ['storage', TypeError, { storage: 'sqlite' }],
    ['storage', TypeError, { storage: null }],
    ['log', TypeError, { log: { info() {} } }],
    ['log', TypeError, { log: null }],
  ];
  it.each(refused)('refuses a wrong %s', (option, kind, change) => {
    let thrown: unknown;
    try {
      parseFabricOptions({ ...minimal, ...change } as unknown as FabricNodeOptions);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(kind);
    expect(thrown).toMatchObject({ code: 'FABRIC_BAD_OPTION', option });
    expect((thrown as Error).message).toContain(`Option ${option} `);
  });

  it.each([[undefined], [null], ['x'], [[]]])('refuses %j instead of options', given => {
    expect(() => parseFabricOptions(given as unknown as FabricNodeOptions)).toThrow(TypeError);
  });

  it('never shows a wrong value, which could be a password', () => {
    const given = { servers: { password: 4711 } } as unknown as FabricNodeOptions;
    expect(() => parseFabricOptions(given)).toThrow(/^(?!.*4711)/s);
  });

  it('explains every option, with a default that passes its own check', () => {
    for (const rows of Object.values(OPTION_TABLE)) {
      for (const row of Object.values(rows)) {
        expect(row.doc).not.toBe('');
        if (row.default !== undefined) expect(row.check(row.default)).toBeNull();
      }
    }
  });
});
