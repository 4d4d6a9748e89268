/** One proxied connection: two sockets and, for each direction, a stream that a fault may bend. */
import type { Socket } from 'node:net';

/** Which way bytes go: 'up' from client to server, 'down' from server to client. */
export type Flow = 'up' | 'down';

/** What is wrong with a direction. */
export interface Fault {
  kind: 'none' | 'blackhole' | 'stall' | 'closed';
  /** Milliseconds. */
  delay: number;
}

/** What a link tells its proxy. */
export interface LinkEvents {
  passed(flow: Flow, count: number): void;
  lost(flow: Flow, count: number): void;
  /** Both sockets are gone. */
  closed(): void;
}

/** Bytes that may be under way in a delayed direction before its sender is held back. */
const IN_FLIGHT = 1024 * 1024;

interface Stream {
  readonly flow: Flow;
  readonly from: Socket;
  readonly to: Socket;
  /** Delayed chunks, oldest first; the empty one is the end. */
  readonly queue: { readonly due: number; readonly chunk: Buffer }[];
  queued: number;
  timer: NodeJS.Timeout | undefined;
  ended: boolean;
}

/** Joins a client's socket with a server's, under the faults of the proxy, which it reads anew for each chunk. */
export class FaultLink {
  /** Whether it lost bytes or the end of a stream. */
  damaged = false;
  readonly #faults: Readonly<Record<Flow, Fault>>;
  readonly #events: LinkEvents;
  readonly #streams: Record<Flow, Stream>;

  constructor(client: Socket, server: Socket, faults: Readonly<Record<Flow, Fault>>, events: LinkEvents) {
    this.#faults = faults;
    this.#events = events;
    this.#streams = { up: newStream('up', client, server), down: newStream('down', server, client) };
    for (const stream of Object.values(this.#streams)) this.#attach(stream);
  }

  /** Whether the client's side is there. */
  get open(): boolean {
    return !this.#streams.up.from.destroyed;
  }

  /** Ends it with a RST on both sides. */
  reset(): void {
    // one that is not connected yet has nothing to reset, and would wait
    for (const { from } of Object.values(this.#streams)) from.connecting ? from.destroy() : from.resetAndDestroy();
  }

  /** Like `reset`; resolves when both sockets are closed. */
  async stop(): Promise<void> {
    const sockets = Object.values(this.#streams).map(({ from }) => from);
    const closed = sockets.map(
      socket => new Promise<void>(done => (socket.closed ? done() : socket.once('close', () => done()))),
    );
    this.reset();
    await Promise.all(closed);
  }

  /** Applies a fault that was set or lifted. */
  faultChanged(flow: Flow): void {
    const stream = this.#streams[flow];
    if (this.#faults[flow].kind === 'closed') this.#closeDirection(stream);
    this.#drain(stream);
    this.#adjustReading(stream);
  }

  #attach(stream: Stream): void {
    const { from, to, flow } = stream;
    from.on('data', chunk => this.#receive(stream, chunk));
    from.on('end', () => this.#receive(stream, Buffer.alloc(0)));
    from.on('error', () => this.#broken(stream));
    from.on('close', () => this.#gone(stream));
    to.on('drain', () => this.#adjustReading(stream));
    to.on('connect', () => this.#adjustReading(stream));
    if (this.#faults[flow].kind === 'closed') this.#closeDirection(stream);
    this.#adjustReading(stream);
  }

  #receive(stream: Stream, chunk: Buffer): void {
    const { kind, delay } = this.#faults[stream.flow];
    // what is already waiting goes first, even when the delay is over
    const atOnce = delay === 0 && stream.queue.length === 0;
    if (kind === 'blackhole' || kind === 'closed' || stream.ended) this.#lose(stream, chunk);
    else if (kind === 'none' && atOnce) this.#pass(stream, chunk);
    else this.#enqueue(stream, chunk, delay);
  }

  #enqueue(stream: Stream, chunk: Buffer, delay: number): void {
    stream.queue.push({ due: Date.now() + delay, chunk });
    stream.queued += chunk.length;
    this.#drain(stream);
    this.#adjustReading(stream);
  }

  #pass(stream: Stream, chunk: Buffer): void {
    if (chunk.length === 0) {
      stream.ended = true;
      stream.to.end();
      return;
    }
    // what the system answers to bytes for a socket that is gone
    if (stream.to.destroyed) {
      stream.from.resetAndDestroy();
      return;
    }
    this.#events.passed(stream.flow, chunk.length);
    if (!stream.to.write(chunk)) this.#adjustReading(stream);
  }

  #lose(stream: Stream, chunk: Buffer): void {
    this.damaged = true;
    this.#events.lost(stream.flow, chunk.length);
  }

  /** Sends what is due and sets the clock for the rest. */
  #drain(stream: Stream): void {
    clearTimeout(stream.timer);
    const { kind, delay } = this.#faults[stream.flow];
    if (kind === 'stall') return;
    for (let next = stream.queue[0]; next; next = stream.queue[0]) {
      const wait = delay === 0 ? 0 : next.due - Date.now();
      if (wait > 0) {
        stream.timer = setTimeout(() => this.#drain(stream), wait);
        break;
      }
      stream.queue.shift();
      stream.queued -= next.chunk.length;
      if (kind === 'none') this.#pass(stream, next.chunk);
      else this.#lose(stream, next.chunk);
    }
    this.#adjustReading(stream);
  }

  /** Reads only while somebody takes it: nothing piles up here. */
  #adjustReading(stream: Stream): void {
    const { kind } = this.#faults[stream.flow];
    const swallows = kind === 'blackhole' || kind === 'closed';
    const full = stream.queued > IN_FLIGHT || stream.to.writableNeedDrain || stream.to.connecting;
    if (kind === 'stall' || (full && !swallows)) stream.from.pause();
    else stream.from.resume();
  }

  #closeDirection(stream: Stream): void {
    if (stream.ended) return;
    this.damaged = true;
    stream.ended = true;
    stream.to.end();
  }

  /** A reset travels on to the other side, unless a black hole swallows it. */
  #broken(stream: Stream): void {
    const { kind } = this.#faults[stream.flow];
    if (kind === 'blackhole' || kind === 'stall') this.damaged = true;
    else stream.to.resetAndDestroy();
  }

  #gone(stream: Stream): void {
    clearTimeout(stream.timer);
    if (Object.values(this.#streams).every(({ from }) => from.destroyed)) this.#events.closed();
    const { kind } = this.#faults[stream.flow];
    if (kind === 'blackhole' || kind === 'stall' || stream.ended) return;
    if (stream.queue.length > 0) this.#drain(stream);
    else stream.to.destroy();
  }
}

function newStream(flow: Flow, from: Socket, to: Socket): Stream {
  return { flow, from, to, queue: [], queued: 0, timer: undefined, ended: false };
}
