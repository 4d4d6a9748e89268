/** Things that are built once for all processes: a lock, a private folder, and one atomic rename. */
import { chmod, mkdir, mkdtemp, open, readdir, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const POLL = 100;
const HEARTBEAT = 2_000;
/** Milliseconds without a heartbeat after which a lock's holder counts as dead. */
const STALE_AFTER = 30_000;

/** What is built, and how one knows that it is there. */
export interface BuildOnce<T> {
  /** The folder that the thing, the lock and the private folders live in. */
  readonly root: string;
  /** The name of the lock: one builder at a time per name. */
  readonly lock: string;
  /** Milliseconds to wait for another builder; default 600,000. */
  readonly timeout?: number;
  /** The finished thing, or undefined. */
  find(): Promise<T | undefined>;
  /** Builds into an empty private folder and answers the name the folder shall have. */
  build(folder: string): Promise<string>;
}

/** The thing, found or built. Safe among processes: whoever comes second waits, and a folder appears whole or not at all. */
export async function buildOnce<T>(work: BuildOnce<T>): Promise<T> {
  const ready = await work.find();
  if (ready !== undefined) return ready;
  await mkdir(work.root, { recursive: true });
  const release = await takeLock(join(work.root, `lock-${work.lock}`), work.timeout ?? 600_000);
  try {
    return (await work.find()) ?? (await buildNow(work));
  } finally {
    await release();
  }
}

async function buildNow<T>(work: BuildOnce<T>): Promise<T> {
  await removeLeftovers(work);
  const folder = await mkdtemp(join(work.root, `building-${work.lock}-`));
  // private until now to whoever builds; a server may run as another user
  await chmod(folder, 0o755);
  try {
    const target = join(work.root, await work.build(folder));
    await rename(folder, target).catch(async () => {
      // something unfinished, or from another builder, has the name
      if ((await work.find()) !== undefined) return;
      await rm(target, { recursive: true, force: true });
      await rename(folder, target);
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  const built = await work.find();
  if (built === undefined) throw new Error(`${work.lock}: built, but not found in ${work.root}`);
  return built;
}

/** Folders of builders that were killed; nobody else builds under this lock. */
async function removeLeftovers(work: { root: string; lock: string }): Promise<void> {
  for (const name of await readdir(work.root)) {
    if (name.startsWith(`building-${work.lock}-`)) await rm(join(work.root, name), { recursive: true, force: true });
  }
}

async function takeLock(path: string, timeout: number): Promise<() => Promise<void>> {
  const deadline = Date.now() + timeout;
  while (!(await tryLock(path))) {
    if (Date.now() > deadline)
      throw new Error(`gave up after ${timeout} ms waiting for ${path}; remove it if nobody builds`);
    if (await isStale(path)) await rm(path, { force: true });
    else await sleep(POLL);
  }
  const beat = setInterval(() => utimes(path, new Date(), new Date()).catch(() => {}), HEARTBEAT);
  beat.unref();
  return async () => {
    clearInterval(beat);
    await rm(path, { force: true });
  };
}

async function tryLock(path: string): Promise<boolean> {
  try {
    const file = await open(path, 'wx');
    await file.writeFile(JSON.stringify({ pid: process.pid, host: hostname() }));
    await file.close();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Two waiters may both call a lock stale and both build: the rename at the end keeps that harmless. */
async function isStale(path: string): Promise<boolean> {
  try {
    const { mtimeMs } = await stat(path);
    if (Date.now() - mtimeMs > STALE_AFTER) return true;
    const text = await readFile(path, 'utf8');
    if (text === '') return false;
    const owner = JSON.parse(text) as { pid: number; host: string };
    return owner.host === hostname() && !isAlive(owner.pid);
  } catch {
    // it went away, or is half written: look again
    return false;
  }
}

/** Whether a process with this id exists, ours or anybody's. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
