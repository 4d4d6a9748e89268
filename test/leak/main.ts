import { fork } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import type { ClientRequest } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { APP_DATABASE, accounts } from '../../src/testing.js';
import { type Footprint, heapAfterCollection, leaks, resourcesNow } from './footprint.js';
import { MOST_RESOURCES, Workload } from './workload.js';
import type { World } from './world.js';

/**
 * `npm run test:leak -- [statements] [changes]`: many statements while the topology changes again and again; the heap, sockets, timers and
 * listeners must not grow. It then leaks by itself, to show that it would have noticed. Exits with 1 when something leaks, or nothing is noticed.
 */

const [statements = 1_000_000, changes = 1_000] = process.argv.slice(2).map(Number);
/** Of the run before the first point: the engine compiles, caches fill. */
const WARM_UP = { statements: Math.max(4_000, statements / 10), changes: Math.max(8, changes / 10) };
/** What the engine itself still learns after that (types; its compilers are off): 0.4 bytes per statement of the full run, 400 per change. */
const HEAP_BOUND = 400_000;

/** Statements that leak on purpose, 120 bytes each. */
const PROOF = 4_000;
const BOUNDS = { heap: HEAP_BOUND, resources: MOST_RESOURCES };

process.on('warning', warning => {
  console.error(warning);
  process.exitCode = 1;
});

const child = fork(fileURLToPath(new URL('./world.ts', import.meta.url)));
const [world] = (await once(child, 'message')) as [World];
const workload = new Workload(world, { ...accounts.app, database: APP_DATABASE });
let changed = 0;

/** A call to a node that began after this and was answered: what the node says now is known here. */
function asked(port: number): Promise<unknown> {
  const began = new Set<unknown>();
  return new Promise<void>(resolve => {
    const start = (message: unknown): void => {
      const { request } = message as { request: ClientRequest };
      if (request.getHeader('host') === `127.0.0.1:${port}`) began.add(request);
    };
    const finish = (message: unknown): void => {
      if (!began.has((message as { request: ClientRequest }).request)) return;
      unsubscribe('http.client.request.start', start);
      unsubscribe('http.client.response.finish', finish);
      resolve();
    };
    subscribe('http.client.request.start', start);
    subscribe('http.client.response.finish', finish);
  });
}

/** Changes of both groups, spread over that many statements; each is known to the client before the next. */
async function change(count: number, over: number): Promise<void> {
  const from = workload.statements;
  for (let n = 0; n < count; n++) {
    while (workload.statements < from + (n * over) / count) await sleep(1);
    child.send(changed++);
    await once(child, 'message');
    await Promise.all([asked(world.real), asked(world.everNew)]);
    if (n % 10 === 0) await workload.visit();
  }
}

async function go(size: typeof WARM_UP): Promise<void> {
  await workload.run(size.statements, change(size.changes, size.statements));
}

async function point(): Promise<Footprint> {
  const heap = await heapAfterCollection();
  const now = { statements: workload.statements, changes: changed, heap, listeners: workload.listeners() };
  return { ...now, resources: resourcesNow() };
}

const part = (share: number) => ({ statements: statements * share, changes: Math.round(changes * share) });
const points: Footprint[] = [];
for (const size of [WARM_UP, part(0.25), part(0.25), part(0.5)]) {
  await go(size);
  const here = await point();
  points.push(here);
  console.log(JSON.stringify(here));
}
const found = leaks(points, BOUNDS);

/** The same again with a leak of each kind: what the judge says of it. */
async function proof(): Promise<string[]> {
  const kept: object[] = [];
  const timers: NodeJS.Timeout[] = [];
  const before = await point();
  process.on('exit', () => {});
  await workload.run(PROOF, Promise.resolve());
  for (let n = before.statements; n < workload.statements; n++) kept.push({ n, statement: `${n}`, answer: [n] });
  for (let n = 0; n <= MOST_RESOURCES; n++) timers.push(setTimeout(() => {}, 60_000));
  const noticed = leaks([before, await point()], BOUNDS);
  for (const timer of timers) clearTimeout(timer);
  if (kept.length < PROOF) throw new Error('nothing was kept');
  return noticed;
}

const noticed = await proof();
await workload.end();
child.disconnect();
console.log(`${workload.failed} statements failed while the group changed, and said so.`);
console.log(found.length === 0 ? 'Nothing leaks.' : `Leaks: ${found.join('; ')}`);
console.log(`Planted, and noticed: ${noticed.join('; ')}`);
if (found.length > 0 || noticed.length !== 3) process.exitCode = 1;
