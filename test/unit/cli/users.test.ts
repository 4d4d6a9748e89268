import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { loadConfig } from '../../../src/fabric/config-file.js';
import { createFabric, type Fabric } from '../../../src/fabric.js';
import { tool } from './tool.js';

/** Users from the command line, with a state store that outlives its node and a configuration without the node's password. */

class Keyboard extends PassThrough {
  setRawMode(): void {}
}

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'fabric-users-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

let stores = 0;
beforeEach(() => {
  stores += 1;
  const storage = `[storage]\ntype = sqlite\nfile = state-${stores}.sqlite\n`;
  writeFileSync(join(dir, 'f.cfg'), `${storage}[servers]\npassword = s\n[protocol.xmlrpc]\naddress = 127.0.0.1:0\n`);
});

const run = (line: string, given: { typed?: string; input?: string } = {}) => {
  const { typed, ...rest } = given;
  const terminal = typed === undefined ? undefined : new Keyboard();
  const ended = tool(`${line} --config f.cfg`, { cwd: dir, ...rest, ...(terminal && { terminal }) });
  for (const byte of Buffer.from(typed ?? '')) terminal?.write(Buffer.of(byte));
  return ended;
};

let fabric: Fabric | undefined;
async function start(): Promise<void> {
  const { options } = loadConfig({ file: 'f.cfg', env: {}, cwd: dir });
  const started = createFabric({
    ...options,
    storage: { ...options.storage, file: join(dir, `state-${stores}.sqlite`) },
  });
  await started.start();
  fabric = started;
  const config = join(dir, 'f.cfg');
  const text = readFileSync(config, 'utf8');
  writeFileSync(config, text.replace(/address = .*/, `address = 127.0.0.1:${started.address.xmlrpc.port}`));
}
afterEach(async () => {
  await fabric?.stop();
  fabric = undefined;
});

const pinged = async (user: string, password: string) => {
  writeFileSync(join(dir, 'pw'), password);
  return (await run(`manage ping --user ${user} --password-file pw`)).status;
};

describe('manage setup', () => {
  it('makes the one who may do everything, with a password that is asked for, once', async () => {
    const asked = await run('manage setup', { typed: 'geheim\rgeheim\r' });
    expect(asked.err).toBe('New password for admin: \nAgain: \n');
    expect(asked.status).toBe(0);
    expect(await run('manage setup')).toMatchObject({ status: 0, err: '' });
    await start();
    expect([await pinged('admin', 'geheim'), await pinged('admin', 'other')]).toEqual([0, 1]);
  });

  it('takes the password from stdin where there is no terminal', async () => {
    expect(await run('manage setup', { input: 'piped\n' })).toMatchObject({ status: 0, err: '' });
    await start();
    expect(await pinged('admin', 'piped')).toBe(0);
  });

  it('takes it from the configuration, which the node can do without from then on', async () => {
    writeFileSync(join(dir, 'secret'), 'configured\n');
    const given = await run('manage setup --param protocol.xmlrpc.password_file=secret');
    expect(given).toMatchObject({ status: 0, err: '' });
    await start();
    expect(await pinged('admin', 'configured')).toBe(0);
  });

  it('makes nobody without a password, and no node starts that nobody may command', async () => {
    expect(await run('manage setup')).toMatchObject({ status: 1, err: expect.stringContaining('no new password') });
    expect((await run('manage setup', { typed: 'a\rb\r' })).err).toContain('The two passwords differ.');
    expect((await run('manage setup', { typed: 'a\u0003' })).status).toBe(130);
    await expect(start()).rejects.toThrow(/^No user may call all commands: .*manage setup/);
  });
});

describe('a password to set', () => {
  beforeEach(async () => {
    await run('manage setup', { input: 'boss' });
    await start();
    writeFileSync(join(dir, 'boss'), 'boss\n');
    writeFileSync(join(dir, 'new'), 'filed\n');
  });
  const asBoss = (line: string, given: Parameters<typeof run>[1] = {}) => run(`${line} --password-file boss`, given);

  it.each([
    ['on a terminal', '', { typed: 't\u00fcped\rt\u00fcped\r' }, 't\u00fcped'],
    ['from stdin', '', { input: 'piped\r\n' }, 'piped'],
    ['from stdin, in words', '--new_password_file=-', { input: 'piped' }, 'piped'],
    ['from a file', '--new-password-file new', {}, 'filed'],
  ] as const)('is taken %s', async (_where, words, given, password) => {
    expect((await asBoss('user add app --roles=monitor', { input: 'first' })).status).toBe(0);
    const { status, out, err } = await asBoss(`user password app ${words}`, given);
    expect({ status, err }).toEqual({ status: 0, err: 'typed' in given ? 'New password: \nAgain: \n' : '' });
    expect(out).not.toContain(password);
    expect([await pinged('app', password), await pinged('app', 'first')]).toEqual([0, 1]);
  });

  it('is no word of the command line', async () => {
    const { status, err } = await asBoss('user add app --new_password=topsecret');
    expect(status).toBe(2);
    expect(err).toContain('no such option: --new_password');
    expect(err).not.toContain('topsecret');
  });

  it('is not there: nothing is changed', async () => {
    for (const [words, given] of [
      ['', {}],
      ['', { typed: '\r' }],
      ['', { typed: 'a\rb\r' }],
      ['--new_password_file=nowhere', {}],
    ] as const) {
      expect((await asBoss(`user add app ${words}`, given)).status).toBe(1);
    }
    expect((await asBoss('user list --json')).out).not.toContain('app');
  });

  it('is refused to the last one who may do everything, when it would be gone', async () => {
    const last = 'There would be no user with a password and the role superadmin.';
    expect((await asBoss('user delete admin')).out).toContain(last);
    expect((await asBoss('user roles admin --roles=monitor')).out).toContain(last);
    expect((await asBoss('user delete admin --force')).status).toBe(0);
  });

  it('is what somebody else may not set', async () => {
    await asBoss('user add eye --roles=monitor', { input: 'eye' });
    writeFileSync(join(dir, 'eye'), 'eye');
    const { status, err } = await run('user password eye --user eye --password-file eye', { input: 'x' });
    expect(status).toBe(1);
    expect(err).toMatch(/user 'eye' has no permission.*\n.*--user/);
  });
});
