import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { complete, loadConfig } from '../../src/fabric/config-file.js';
import { parseFabricOptions } from '../../src/fabric/options.js';
import { createSqliteStore } from '../../src/fabric/store/sqlite.js';
import { openSqlite } from '../../src/fabric/store/sqlite-binding.js';
import { readSources } from './import-graph.js';

/** What docs/operating.md says is so. */

const ROOT = join(import.meta.dirname, '../..');
const manual = readFileSync(join(ROOT, 'docs/operating.md'), 'utf8');
const [, alarms = ''] = manual.split('\n## Alarms\n');
const sentences = [...alarms.matchAll(/^\| `(.+?)` \|/gm)].map(([, sentence]) => sentence ?? '');
const sources = [...readSources(join(ROOT, 'src')).values()].join('\n');

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'fabric-operating-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

it('explains many alarms', () => expect(sentences.length).toBeGreaterThan(15));

it.each(sentences)('explains a sentence that the node has: %s', sentence => {
  for (const part of sentence.split('…').map(each => each.trim())) expect(sources.includes(part), part).toBe(true);
});

it('has a configuration that works, without a note', () => {
  const [, block = ''] = /```ini\n(# \/etc\/mysql\/fabric\.cfg[\s\S]*?)```/.exec(manual) ?? [];
  for (const folder of ['/etc/mysqlfabric/', '/var/lib/mysqlfabric/', '/var/log/mysqlfabric/'])
    mkdirSync(join(dir, folder), { recursive: true });
  for (const name of ['servers', 'admin'])
    writeFileSync(join(dir, `/etc/mysqlfabric/${name}.password`), `${name} secret\n`);
  writeFileSync(join(dir, 'fabric.cfg'), block.replaceAll(/\/(etc|var)\//g, `${dir}/$1/`));
  const { options, notes, logging } = loadConfig({ env: {}, cwd: dir });
  expect(notes).toEqual([]);
  expect(logging.file).toBe(join(dir, 'var/log/mysqlfabric/fabric.log'));
  expect(complete(() => parseFabricOptions(options))).toMatchObject({
    storage: { type: 'sqlite', file: join(dir, 'var/lib/mysqlfabric/fabric.sqlite') },
    servers: { user: 'fabric', password: 'servers secret' },
    protocol: { xmlrpc: { address: '0.0.0.0:32274', user: 'admin', password: 'admin secret' } },
  });
});

it('copies a state store that is in use, and the copy is one', async () => {
  const file = join(dir, 'fabric.sqlite');
  const copy = join(dir, 'copy.sqlite');
  const group = { id: 'g', description: null, active: true, primary: null, primarySince: null, baseline: null };
  const store = createSqliteStore({ file });
  await store.open();
  const stored = await store.createGroup({ ...group, servers: [] });
  const [, statement = ''] = /`sqlite3 \S+ "(.+?)"`/.exec(manual) ?? [];
  const other = await openSqlite(file);
  other.exec(statement.replace('/backup/fabric.sqlite', copy));
  other.close();
  await store.saveGroup({ ...stored, description: 'later' });
  await store.close();
  const restored = createSqliteStore({ file: copy });
  await restored.open();
  expect(await restored.groups()).toMatchObject([group]);
  await restored.close();
});
