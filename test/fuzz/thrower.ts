import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import type { Input, Protocol } from './protocol.js';
import type { Victim } from './victim.js';

/** Throws inputs at a node, many connections at once, and judges what comes back. */

export interface Campaign {
  readonly inputs: number;
  readonly seed: number;
}

/** Inputs that are made with one seed; after them all connections are waited for. */
const BATCH = 5_000;
const PER_CONNECTION = 12;
/** ms for which an input that need not be answered may be. */
const SETTLE = 10;
const PATIENCE = 20_000;

/** @throws Error that names the seed to see it again: `FUZZ_SEED=<seed>`. */
async function throwAt(protocol: Protocol, { inputs, seed }: Campaign, done: (count: number) => void = () => {}) {
  for (let thrown = 0; thrown < inputs; thrown += BATCH) {
    const numRuns = Math.min(BATCH, inputs - thrown);
    const batch = fc.sample(protocol.input, { seed: seed + thrown, numRuns });
    const connections = inConnections(batch);
    const workers = Array.from({ length: protocol.connections }, async () => {
      for (let next = connections.pop(); next; next = connections.pop()) await converse(protocol, next);
    });
    try {
      await Promise.all(workers);
    } catch (cause) {
      const again = `FUZZ_SEED=${seed + thrown} FUZZ_INPUTS=${numRuns}`;
      throw new Error(`${protocol.name}: ${(cause as Error).message}\nThe same again: ${again}`, { cause });
    }
    done(thrown + numRuns);
  }
}

/** Each connection ends with an input after which nobody can tell where the next one begins. */
function inConnections(inputs: readonly Input[]): Input[][] {
  const connections: Input[][] = [[]];
  for (const input of inputs) {
    connections.at(-1)?.push(input);
    if (!input.framed || (connections.at(-1)?.length ?? 0) >= PER_CONNECTION) connections.push([]);
  }
  return connections;
}

async function converse(protocol: Protocol, inputs: readonly Input[]): Promise<void> {
  const socket = connect(protocol.port, '127.0.0.1');
  let heard: Buffer = Buffer.alloc(0);
  let ended = false;
  const closed = new Promise<void>(resolve => {
    socket.once('close', () => {
      ended = true;
      resolve();
    });
  });
  socket.on('data', chunk => {
    heard = Buffer.concat([heard, chunk]);
  });
  socket.on('error', () => {});
  /** Until there are so many answers, or no more can come. */
  const answered = async (wanted: number): Promise<boolean> => {
    const deadline = performance.now() + PATIENCE;
    for (;;) {
      const { answers, last } = protocol.judge(heard, ended);
      if (answers >= wanted) return !last;
      if (ended) return false;
      const more = new AbortController();
      const timer = setTimeout(() => more.abort(), deadline - performance.now());
      await Promise.race([once(socket, 'data', { signal: more.signal }).catch(() => {}), closed]);
      clearTimeout(timer);
      more.abort();
      if (performance.now() > deadline) throw new Error(`No answer ${wanted} in time to ${shown(inputs)}`);
    }
  };
  try {
    await once(socket, 'connect');
    const bytes = inputs.map(input => input.bytes());
    const { greeting } = protocol;
    if (greeting && !(await answered(1))) throw new Error('The node did not greet');
    if (greeting?.answer) {
      socket.write(greeting.answer(heard));
      if (!(await answered(2))) throw new Error('The node did not let in');
    }
    const wanted = (greeting ? 1 : 0) + (greeting?.answer ? 1 : 0);
    const framed = inputs.filter(input => input.framed).length;
    socket.write(Buffer.concat(bytes.slice(0, framed)));
    const goesOn = await answered(wanted + framed);
    if (!goesOn && ended && protocol.judge(heard, true).answers < wanted + framed && !protocol.judge(heard, true).last)
      throw new Error(`Hung up without an answer to ${shown(inputs)}`);
    for (const rest of bytes.slice(framed)) {
      // In two pieces: the node must not depend on where they part.
      const half = rest.length >> 1;
      socket.write(rest.subarray(0, half));
      await Promise.race([sleep(1), closed]);
      if (!socket.destroyed) socket.write(rest.subarray(half));
      await Promise.race([sleep(SETTLE), closed]);
    }
    socket.end();
    await Promise.race([closed, sleep(PATIENCE, undefined, { ref: false })]);
    if (!ended) throw new Error(`Not hung up after ${shown(inputs)}`);
    protocol.judge(heard, true);
  } catch (cause) {
    throw new Error(
      `${(cause as Error).message}\n  sent ${shown(inputs)}\n  heard ${JSON.stringify(heard.toString('latin1')).slice(0, 2_000)}`,
    );
  } finally {
    socket.destroy();
  }
}

const shown = (inputs: readonly Input[]): string =>
  JSON.stringify(inputs.map(input => input.bytes().toString('latin1').slice(0, 600)));

export interface Growth {
  readonly heap: readonly [early: number, late: number];
  readonly rss: readonly [early: number, late: number];
}

/** What a node may hold more at the end than after the first fifth; bytes. What it remembers of wrong passwords is bounded, but not full by then. */
const SLACK = { heap: 6 * 1024 * 1024, rss: 48 * 1024 * 1024 };

/** The whole campaign: the node lives, holds no more than early on, has nothing open and nothing to complain of. */
export async function survives(victim: Victim, protocol: Protocol, { inputs, seed }: Campaign): Promise<Growth> {
  await protocol.before?.();
  const early = Math.floor(inputs / 5);
  await throwAt(protocol, { inputs: early, seed });
  const before = await settled(victim);
  await throwAt(protocol, { inputs: inputs - early, seed: seed + early });
  const after = await settled(victim);
  const growth: Growth = { heap: [before.heap, after.heap], rss: [before.rss, after.rss] };
  for (const kind of ['heap', 'rss'] as const) {
    const [least, most] = growth[kind];
    if (most - least > SLACK[kind]) throw new Error(`${protocol.name}: its ${kind} grew from ${least} to ${most}`);
  }
  if (after.complaints.length > 0) throw new Error(`${protocol.name}: it complains: ${after.complaints.join('\n')}`);
  if (victim.said !== '') throw new Error(`${protocol.name}: it printed: ${victim.said}`);
  return growth;
}

async function settled(victim: Victim) {
  const deadline = Date.now() + PATIENCE;
  for (;;) {
    const measures = await victim.measure();
    if (measures.sockets === 0) return measures;
    if (Date.now() > deadline) throw new Error(`${measures.sockets} sockets are left open`);
    await sleep(50);
  }
}
