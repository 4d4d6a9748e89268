/**
 * `npm run demo`: real MySQL servers, a Fabric node and an application in one process. The primary is killed, comes back and takes over
 * again, while the application writes and reads. Exit status 0: all that was promised held.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Mysqld } from 'mysql2-fabric/testing';
import { Application } from './application.js';
import { Cluster, startFirstServer } from './cluster.js';
import { play, type Stage } from './scenario.js';
import { openScreen } from './screen.js';
import { Story } from './story.js';
import { judge, printSummary } from './summary.js';
import { countWrites } from './verify.js';
import { keepView } from './view.js';
import { aborted } from './wait.js';

/** ms for all, once there is a MySQL server; and how much of it is kept for ending everything. */
const BUDGET = 60_000;
const CLEANUP = 5_000;
/** ms after which it is told why the first start takes so long. */
const QUICK_START = 3_000;
const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

const screen = openScreen(process.stdout);
const story = new Story(screen);
const ending = new AbortController();
const { signal } = ending;
/** What has to be ended, the last one first. */
const cleanups: (() => Promise<void>)[] = [() => Mysqld.stopAll()];

for (const [name, status] of Object.entries(SIGNALS)) {
  process.on(name, () => {
    process.exitCode = status;
    ending.abort(new Error(`${name}: ending early.`));
  });
}
// whoever reads the output has gone
process.stdout.on('error', () => ending.abort(new Error('The output was closed.')));

try {
  const held = await Promise.race([perform(), aborted(signal)]);
  process.exitCode = held ? 0 : 1;
} catch (error) {
  process.exitCode ||= 1;
  screen.end();
  console.error(`The demo ended before its end. ${error instanceof Error ? error.message : String(error)}`);
} finally {
  await cleanUp();
}

/** True when all held. */
async function perform(): Promise<boolean> {
  const first = await firstServer();
  setTimeout(() => ending.abort(new Error(`It did not end within ${BUDGET / 1_000} s.`)), BUDGET - CLEANUP).unref();
  const cluster = await Cluster.start(first, sentence => story.hear(sentence));
  cleanups.push(() => cluster.stop());
  for (const { name, server } of cluster.servers) {
    story.say(`${name}: MySQL ${server.version} at ${server.address}, process ${server.pid}`);
  }
  await cluster.form();
  const application = new Application(cluster.clientOptions);
  cleanups.push(() => application.stop());
  await application.start();

  const view = new AbortController();
  const stage: Stage = { cluster, application, story, signal };
  const watching = keepView(stage, screen, AbortSignal.any([signal, view.signal]));
  const findings = await play(stage);
  view.abort();
  await watching;
  screen.end();
  story.heading('The application stops; its writes are counted on every server.');
  await application.stop();
  const counts = await countWrites(cluster, application.journal);
  const checks = judge(findings, counts, application.journal);
  printSummary(screen, checks, counts, application.journal);
  return checks.every(({ held }) => held);
}

async function firstServer(): Promise<Mysqld> {
  story.say('Starting three MySQL servers.');
  const fetching = setInterval(
    () => story.say('The first start fetches MySQL (about 85 MB) and initialises it, once, in .mysql ...'),
    QUICK_START,
  );
  try {
    return await startFirstServer();
  } finally {
    clearInterval(fetching);
  }
}

/** In a bounded time; what is left then ends with the process. */
async function cleanUp(): Promise<void> {
  screen.end();
  story.hold();
  const all = (async () => {
    for (const end of cleanups.reverse()) await end().catch(error => console.error(String(error)));
  })();
  await Promise.race([all, sleep(CLEANUP, undefined, { ref: false })]);
  setTimeout(() => process.exit(), 500).unref();
}
