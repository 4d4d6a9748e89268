import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import mysql from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseNodes } from '../../src/client/fabric-nodes.js';
import { FabricRpc } from '../../src/client/fabric-rpc.js';
import { createFabric } from '../../src/fabric.js';
import { certify } from '../certificates.js';
import { createFakeFabric, type FakeFabric } from '../fakes/fake-fabric.js';
import { tool } from '../unit/cli/tool.js';

/** Both endpoints with certificates, and those who call them. */

const ca = certify('authority', { authority: true });
const good = certify('node', { issuer: ca, addresses: ['127.0.0.1'] });
const strange = certify('stranger');
const client = certify('client', { issuer: ca });

let dir: string;
let node: FakeFabric;
const file = (name: string) => join(dir, name);

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'fabric-tls-'));
  for (const [name, text] of Object.entries({ ca: ca.cert, cert: good.cert, key: good.key, other: strange.key }))
    writeFileSync(file(name), text);
  const endpoint = { address: '127.0.0.1:0', password: 'secret', sslCert: file('cert'), sslKey: file('key') };
  node = await createFakeFabric({ protocol: { xmlrpc: { ...endpoint, sslCa: file('ca') }, mysql: endpoint } });
});
afterAll(async () => {
  await node.fabric.stop();
  rmSync(dir, { recursive: true, force: true });
});

const { host, account } = { host: '127.0.0.1', account: { user: 'admin', password: 'secret' } };
const port = () => node.fabric.address.xmlrpc.port;

async function asked(fabric: Parameters<typeof parseNodes>[0]): Promise<string> {
  const rpc = new FabricRpc(parseNodes(fabric), 5_000);
  try {
    return (await rpc.topology('my_group')).group;
  } catch (error) {
    return String(((error as Error).cause as NodeJS.ErrnoException | undefined)?.code ?? error);
  } finally {
    rpc.close();
  }
}

describe('HTTPS', () => {
  it('is spoken by those who trust the node, by object and by URI', async () => {
    expect(await asked({ host, port: port(), ...account, sslCa: file('ca') })).toBe('my_group');
    expect(await asked({ host, port: port(), ...account, sslCa: ca.cert })).toBe('my_group');
    expect(await asked(`mysql+fabric://admin:secret@${host}:${port()}/?fabricSslCa=${file('ca')}`)).toBe('my_group');
  });

  it('is not spoken with a node that nobody vouches for', async () => {
    expect(await asked({ host, port: port(), ...account, https: true })).toMatch(/UNABLE_TO|SELF_SIGNED/);
    expect(await asked({ host, port: port(), ...account, sslCa: strange.cert })).toMatch(/UNABLE_TO|SELF_SIGNED/);
    expect(await asked({ host: 'localhost', port: port(), ...account, sslCa: ca.cert })).toBe(
      'ERR_TLS_CERT_ALTNAME_INVALID',
    );
  });

  it('is all that is spoken', async () => {
    expect(await asked({ host, port: port(), ...account })).toMatch(/ECONNRESET|HPE_INVALID/);
    const socket = connect(port(), host);
    socket.on('error', () => {});
    socket.end('POST /RPC2 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n');
    let answer = '';
    socket.on('data', chunk => {
      answer += chunk.toString('latin1');
    });
    await once(socket, 'close');
    expect(answer).not.toContain('HTTP');
  });

  it("asks for no client's certificate, but refuses one that is not known", async () => {
    const fabric = { host, port: port(), ...account, sslCa: file('ca') };
    expect(await asked({ ...fabric, sslCert: client.cert, sslKey: client.key })).toBe('my_group');
    expect(await asked({ ...fabric, sslCert: strange.cert, sslKey: strange.key })).toMatch(/ECONNRESET|EPIPE/);
  });

  it('has nothing against a client that has a certificate, where no authority is named', async () => {
    const endpoint = { address: '127.0.0.1:0', password: 'secret', sslCert: file('cert'), sslKey: file('key') };
    const other = await createFakeFabric({ protocol: { xmlrpc: endpoint } });
    const fabric = { host, port: other.fabric.address.xmlrpc.port, ...account, sslCa: file('ca') };
    for (const { cert, key } of [client, strange])
      expect(await asked({ ...fabric, sslCert: cert, sslKey: key })).toBe('my_group');
    await other.fabric.stop();
  });

  it('keeps silent clients off, and ends with the node', async () => {
    const endpoint = { address: '127.0.0.1:0', disableAuthentication: true, headersTimeout: 0.3 };
    const xmlrpc = { ...endpoint, sslCert: file('cert'), sslKey: file('key') };
    const other = await createFakeFabric({ protocol: { xmlrpc } });
    const { port: at } = other.fabric.address.xmlrpc;
    const silent = connect(at, host);
    await once(silent, 'close');
    const late = connect(at, host);
    await once(late, 'connect');
    const ended = once(late, 'close');
    await other.fabric.stop();
    await ended;
  });

  it.each([
    [{ sslCert: 'cert' }, /protocol\.xmlrpc\.sslKey must be given/],
    [{ sslKey: 'key' }, /protocol\.xmlrpc\.sslCert must be given/],
    [{ sslCa: 'ca' }, /protocol\.xmlrpc\.sslCert must be given/],
    [{ sslCert: 'none', sslKey: 'key' }, /protocol\.xmlrpc\.sslCert names a file that cannot be read \(ENOENT\)/],
    [{ sslCert: 'cert', sslKey: 'other' }, /protocol\.xmlrpc\.sslCert cannot be used with sslKey/],
    [{ sslCert: 'key', sslKey: 'key' }, /protocol\.xmlrpc\.sslCert cannot be used with sslKey/],
  ])('is refused by a node with %j', async (names, message) => {
    const files = Object.fromEntries(Object.entries(names).map(([key, name]) => [key, file(name)]));
    const xmlrpc = { address: '127.0.0.1:0', password: 'x', ...files };
    const start = async () => createFabric({ servers: { password: 'x' }, protocol: { xmlrpc } }).start();
    await expect(start()).rejects.toMatchObject({ code: 'FABRIC_BAD_OPTION', message: expect.stringMatching(message) });
  });
});

describe('the command line', () => {
  const ping = (...params: string[]) =>
    tool(['manage ping', ...params.map(param => `--param protocol.xmlrpc.${param}`)].join(' '), {
      env: {
        MYSQL2_FABRIC_PROTOCOL_XMLRPC_ADDRESS: `127.0.0.1:${port()}`,
        MYSQL2_FABRIC_PROTOCOL_XMLRPC_PASSWORD: 'secret',
      },
    });

  it('trusts the authority, or the certificate itself, by whatever name the node is called', async () => {
    expect(await ping(`ssl_ca=${file('ca')}`)).toMatchObject({ status: 0, err: '' });
    const self = certify('fabric.example.com');
    writeFileSync(file('self'), self.cert);
    writeFileSync(file('self-key'), self.key);
    const xmlrpc = { address: '127.0.0.1:0', password: 'secret', sslCert: file('self'), sslKey: file('self-key') };
    const other = await createFakeFabric({ protocol: { xmlrpc } });
    const address = `address=127.0.0.1:${other.fabric.address.xmlrpc.port}`;
    expect(await ping(address, `ssl_cert=${file('self')}`)).toMatchObject({ status: 0, err: '' });
    expect(await ping(address, `ssl_ca=${file('self')}`)).toMatchObject({ status: 1 });
    await other.fabric.stop();
  });

  it('says what to do when there is no trust, or no encryption', async () => {
    writeFileSync(file('strange'), strange.cert);
    expect((await ping(`ssl_ca=${file('strange')}`)).err).toMatch(/\[protocol\.xmlrpc\] ssl_ca names the file/);
    expect((await ping(`ssl_ca=${file('none')}`)).err).toMatch(/ssl_ca, .*none, cannot be read \(ENOENT\)/);
    const plain = await createFakeFabric();
    const address = `address=127.0.0.1:${plain.fabric.address.xmlrpc.port}`;
    expect((await ping(address, `ssl_ca=${file('ca')}`)).err).toMatch(/speak HTTPS\?/);
    await plain.fabric.stop();
  });
});

describe('the MySQL protocol', () => {
  const logIn = (more: mysql.ConnectionOptions) => {
    const { mysql: address } = node.fabric.address;
    if (!address) throw new Error('no endpoint');
    return mysql.createConnection({ ...address, ...account, ...more });
  };

  it('is encrypted for those who want it', async () => {
    for (const ssl of [{ ca: ca.cert }, { rejectUnauthorized: false }]) {
      const encrypted = await logIn({ ssl });
      const [sets] = await encrypted.query<mysql.RowDataPacket[][]>("CALL dump.servers(0, 'my_group')");
      expect(sets[0]?.[0]).toMatchObject({ message: null });
      expect(sets[1]).toHaveLength(3);
      await encrypted.end();
    }
    const plain = await logIn({});
    await plain.query('CALL manage.ping()');
    await plain.end();
  });

  it('is not for those who do not trust it, nor with a wrong password', async () => {
    await expect(logIn({ ssl: { ca: strange.cert } })).rejects.toMatchObject({ code: 'HANDSHAKE_SSL_ERROR' });
    await expect(logIn({ ssl: { ca: ca.cert }, password: 'wrong' })).rejects.toMatchObject({ errno: 1044 });
  });
});

it('answers requests that come by one encrypted connection at once', async () => {
  const answers = await Promise.all(
    Array.from({ length: 5 }, async () => {
      const asking = request({ host, port: port(), method: 'POST', path: '/RPC2', ca: ca.cert });
      asking.end();
      const [response] = await once(asking, 'response');
      response.resume();
      return response.statusCode;
    }),
  );
  expect(answers).toEqual([401, 401, 401, 401, 401]);
});
