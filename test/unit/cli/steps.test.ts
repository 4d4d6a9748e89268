import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createFakeFabric, type FakeFabric } from '../../fakes/fake-fabric.js';
import { tool } from './tool.js';

/** What somebody sees who waits for a long command. */

let fake: FakeFabric;
let env: Record<string, string>;
beforeAll(async () => {
  fake = await createFakeFabric();
  env = {
    MYSQL2_FABRIC_PROTOCOL_XMLRPC_ADDRESS: `127.0.0.1:${fake.fabric.address.xmlrpc.port}`,
    MYSQL2_FABRIC_PROTOCOL_XMLRPC_PASSWORD: 'secret',
  };
  const { connect } = fake.servers;
  fake.servers.connect = async (address, timeout) => {
    await sleep(800);
    return connect(address, timeout);
  };
  for (const n of [5, 6, 7, 8]) fake.servers.add(`00000000-0000-0000-0000-00000000000${n}`, 34_000 + n);
});
afterAll(() => fake.fabric.stop());

const add = (port: number, ...more: string[]) => `group add my_group 127.0.0.1:${port} ${more.join(' ')}`;

describe('a long command', () => {
  it('shows its steps on a terminal, and the same answer as ever', async () => {
    const { status, out, err } = await tool(add(34_005), { env, watched: true });
    expect(status).toBe(0);
    expect(err.split('\n')[0]).toBe('check the server ...');
    expect(err).toMatch(/^([\w ]+ \.\.\.\n)+$/);
    expect(new Set(err.split('\n')).size).toBe(err.split('\n').length);
    expect(out).toMatch(/^Fabric UUID: {2}5ca1ab1e[\s\S]*Executed action \(store it as a secondary\)/);
  });

  it('says that it waits for its turn', async () => {
    const [first, second] = await Promise.all([
      tool(add(34_006), { env }),
      sleep(100).then(() => tool('group description my_group --description=new', { env, watched: true })),
    ]);
    expect([first?.status, second?.status]).toEqual([0, 0]);
    expect(first?.err).toBe('');
    expect(second?.err).toBe('wait for the other procedures of the group ...\n');
  });

  it.each([
    ['when nobody looks', add(34_007), false],
    ['in JSON', add(34_008, '--json'), true],
    ['when it is not waited for', 'group description my_group --description=newer --synchronous', true],
  ])('shows nothing but its answer %s', async (_when, line, watched) => {
    expect(await tool(line, { env, watched })).toMatchObject({ status: 0, err: '' });
  });
});
