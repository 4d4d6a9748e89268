import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { catalogue } from '../../../src/cli/catalogue.js';
import { formatReply } from '../../../src/cli/output.js';
import type { DecodedReply } from '../../../src/wire/reply.js';
import { createFakeFabric, type FakeFabric } from '../../fakes/fake-fabric.js';
import { tool } from './tool.js';

/** What the original's tool printed, on a group like that of the fake. */

let fake: FakeFabric;
let env: Record<string, string>;
beforeAll(async () => {
  fake = await createFakeFabric();
  await fake.fabric.call('group.activate', 'my_group');
  env = {
    MYSQL2_FABRIC_PROTOCOL_XMLRPC_ADDRESS: `127.0.0.1:${fake.fabric.address.xmlrpc.port}`,
    MYSQL2_FABRIC_PROTOCOL_XMLRPC_PASSWORD: 'secret',
  };
});
afterAll(async () => {
  await fake.fabric.stop();
});

function capture(name: string): { line: string; printed: string; status: number } {
  const text = readFileSync(join(import.meta.dirname, '../../fixtures/cli', `${name}.txt`), 'utf8');
  const [, line = '', printed = '', status] =
    /^\$ mysqlfabric (.*)\n([\s\S]*)\[exit status (\d+)\]\s*$/.exec(text) ?? [];
  return { line, printed, status: Number(status) };
}

describe('the captures of the original', () => {
  it.each(['manage-ping', 'group-lookup_groups', 'group-lookup_servers', 'dump-servers'])(
    '%s: every byte',
    async name => {
      const { line, printed, status } = capture(name);
      expect(await tool(line, { env })).toEqual({ status, out: printed, err: '' });
    },
  );

  it("group-health: the original's columns, with more behind them", async () => {
    const { line, printed, status } = capture('group-health');
    const { out, ...rest } = await tool(line, { env });
    expect(rest).toEqual({ status, err: '' });
    const lines = printed.split('\n');
    const width = lines.find(each => each.startsWith('---'))?.length ?? 0;
    expect(width).toBeGreaterThan(100);
    expect(out.split('\n').map(each => each.slice(0, width))).toEqual(lines.map(each => each.slice(0, width)));
    expect(out).toContain('gtids_missing');
  });

  it('group-create-dup: every byte, and what to do next on stderr', async () => {
    const { line, printed, status } = capture('group-create-dup');
    const ended = await tool(line, { env });
    expect(ended).toMatchObject({ status, out: printed });
    expect(ended.err).toContain("'mysqlfabric group lookup_groups'");
  });

  it("too-few-args: every byte but the program's name", async () => {
    const { line, printed, status } = capture('too-few-args');
    expect(await tool(line, { env })).toEqual({
      status,
      out: '',
      err: printed.replace('mysqlfabric.py', 'mysqlfabric'),
    });
  });

  it('group-create: every byte, of the same answer', () => {
    const { printed } = capture('group-create');
    const command = catalogue.get('group.create');
    if (!command?.sets) throw new Error('no group.create');
    const [outcome, history] = command.sets.map(columns => columns.map(({ name }) => name));
    const text = 'Triggered by <mysql.fabric.events.Event object at 0x7f1ad7b4a8d0>.';
    const reply: DecodedReply = {
      fabricUuid: '5ca1ab1e-a007-feed-f00d-cab3fe13249e',
      ttl: 1,
      error: '',
      resultSets: [
        { columns: outcome ?? [], rows: [['1f1d76e9-48d8-4f2c-87de-f5d5bf518ac1', true, true, true]] },
        {
          columns: history ?? [],
          rows: [
            [3, 2, 1_795_290_537.289_1, text],
            [4, 2, 1_795_290_537.3, 'Executing action (_create_group).'],
            [5, 2, 1_795_290_537.31, 'Executed action (_create_group).'],
          ],
        },
      ],
    };
    expect(formatReply(reply, command)).toBe(printed);
  });

  it('group-create: the same layout from a node', async () => {
    const { out, status } = await tool('group create another', { env });
    expect(status).toBe(0);
    expect(out).toMatch(
      /\n {32}uuid finished success result\n-{36} -{8} -{7} -{6}\n\S{36} {8}1 {7}1 {6}1\n\nstate success +when +description\n/,
    );
  });
});

describe('an answer', () => {
  it('can be JSON', async () => {
    const { out, status } = await tool('group lookup_servers my_group --status=PRIMARY --json', { env });
    expect(status).toBe(0);
    expect(JSON.parse(out)).toEqual({
      fabric_uuid: '5ca1ab1e-a007-feed-f00d-cab3fe13249e',
      ttl: 1,
      error: null,
      results: [
        [
          {
            server_uuid: '82407a3f-e5e4-11f1-a89c-02fc00000001',
            address: '127.0.0.1:34004',
            status: 'PRIMARY',
            mode: 'READ_WRITE',
            weight: 1,
          },
        ],
      ],
    });
    const refused = await tool('group lookup_servers nobody --json', { env });
    expect(refused.status).toBe(1);
    expect(JSON.parse(refused.out)).toMatchObject({ error: 'Group (nobody) does not exist.', results: [] });
  });

  it('of a flag that inverts the default is the uuid alone', async () => {
    const { out, status } = await tool('group description my_group --description=new --synchronous', { env });
    expect(status).toBe(0);
    expect(out).toMatch(/\n\n {32}uuid\n-{36}\n\S{36}\n\n\n$/);
  });
});
