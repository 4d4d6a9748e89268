import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { readSources } from './import-graph.js';

/** What docs/operating.md says of the log is what the sources say. */

const ROOT = join(import.meta.dirname, '../..');
const [, alarms = ''] = readFileSync(join(ROOT, 'docs/operating.md'), 'utf8').split('\n## Alarms\n');
const sentences = [...alarms.matchAll(/^\| `(.+?)` \|/gm)].map(([, sentence]) => sentence ?? '');
const sources = [...readSources(join(ROOT, 'src')).values()].join('\n');

it('explains many alarms', () => expect(sentences.length).toBeGreaterThan(15));

it.each(sentences)('explains a sentence that the node has: %s', sentence => {
  for (const part of sentence.split('…').map(each => each.trim())) expect(sources.includes(part), part).toBe(true);
});
