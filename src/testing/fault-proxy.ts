/** A TCP proxy that misbehaves on request: for tests of what a network may do. */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { type Fault, FaultLink, type Flow } from './fault-link.js';

/** Which way bytes go: 'up' from client to server, 'down' from server to client. */
export type Direction = Flow | 'both';

/** What a proxy stands in front of, and where it listens. */
export interface FaultProxyOptions {
  readonly port: number;
  /** Default: '127.0.0.1'. */
  readonly host?: string;
  /** The proxy's own port on 127.0.0.1. Default: a free one. */
  readonly listenPort?: number;
}

/** Bytes by direction. */
export interface ByteCounts {
  readonly up: number;
  readonly down: number;
}

const HOST = '127.0.0.1';

/** Forwards TCP connections to one server. A fault holds for existing and new connections until `heal`. */
export class FaultProxy {
  readonly host = HOST;
  readonly #upstream: { host: string; port: number };
  readonly #links = new Set<FaultLink>();
  readonly #faults: Record<Flow, Fault> = { up: healthy(), down: healthy() };
  readonly #passed = { up: 0, down: 0 };
  readonly #lost = { up: 0, down: 0 };
  #listener: Server | undefined;
  #port: number;

  private constructor(options: FaultProxyOptions) {
    this.#upstream = { host: options.host ?? HOST, port: options.port };
    this.#port = options.listenPort ?? 0;
  }

  /** A proxy that listens. Rejects when `listenPort` is taken. The upstream server need not be there yet. */
  static async start(options: FaultProxyOptions): Promise<FaultProxy> {
    const proxy = new FaultProxy(options);
    await proxy.accept();
    return proxy;
  }

  /** Where to connect to. Stays the same after `refuse` and `accept`. */
  get port(): number {
    return this.#port;
  }

  /** `host:port`, as Fabric names a server. */
  get address(): string {
    return `${this.host}:${this.port}`;
  }

  /** How many connections are open on the client's side. */
  get connections(): number {
    return [...this.#links].filter(link => link.open).length;
  }

  /** Bytes passed on since the start. */
  get bytes(): ByteCounts {
    return { ...this.#passed };
  }

  /** Bytes swallowed since the start. */
  get swallowed(): ByteCounts {
    return { ...this.#lost };
  }

  /** Resets (RST) all connections of this moment, on both sides. New ones are not affected. */
  cut(): void {
    for (const link of this.#links) link.reset();
  }

  /** Stops listening: new connections are refused by the system. Existing ones stay. */
  refuse(): void {
    this.#listener?.close();
    this.#listener = undefined;
  }

  /** Listens again, on the same port. Rejects when somebody took it meanwhile. */
  async accept(): Promise<void> {
    if (this.#listener !== undefined) return;
    const listener = createServer({ allowHalfOpen: true, noDelay: true }, client => this.#link(client));
    this.#listener = listener;
    try {
      await listening(listener, this.#port);
    } catch (error) {
      this.#listener = undefined;
      throw error;
    }
    const address = listener.address();
    if (address && typeof address === 'object') this.#port = address.port;
  }

  /** Swallows bytes, and the ends of streams, silently. Connections stay open; new ones are accepted and silent. */
  blackhole(direction: Direction = 'both'): void {
    this.#set(direction, { kind: 'blackhole' });
  }

  /** Stops reading, as a congested or parted network does: after `heal` everything arrives, in order. */
  stall(direction: Direction = 'both'): void {
    this.#set(direction, { kind: 'stall' });
  }

  /** Passes bytes on `ms` milliseconds late, at full bandwidth; 0 ends it. */
  delay(ms: number, direction: Direction = 'both'): void {
    if (!(ms >= 0 && ms < 2 ** 31)) throw new RangeError(`delay: ${ms} is not a number of milliseconds`);
    this.#set(direction, { delay: ms });
  }

  /** Ends one direction with a FIN: its receiver sees the end of the stream and its sender may go on, unheard. */
  halfOpen(direction: Flow): void {
    this.#set(direction, { kind: 'closed' });
  }

  /**
   * Back to normal, `refuse` included. Connections that lost bytes or a direction are reset, for no network delivers a stream with
   * a hole in it.
   */
  async heal(): Promise<void> {
    this.#set('both', healthy());
    for (const link of this.#links) if (link.damaged) link.reset();
    await this.accept();
  }

  /** Stops listening and resets all connections. */
  async stop(): Promise<void> {
    this.refuse();
    await Promise.all([...this.#links].map(link => link.stop()));
  }

  #set(direction: Direction, change: Partial<Fault>): void {
    const flows: Flow[] = direction === 'both' ? ['up', 'down'] : [direction];
    for (const flow of flows) {
      Object.assign(this.#faults[flow], change);
      for (const link of this.#links) link.faultChanged(flow);
    }
  }

  #link(client: Socket): void {
    const server = connect({ ...this.#upstream, allowHalfOpen: true, noDelay: true });
    const link = new FaultLink(client, server, this.#faults, {
      passed: (flow, count) => {
        this.#passed[flow] += count;
      },
      lost: (flow, count) => {
        this.#lost[flow] += count;
      },
      closed: () => this.#links.delete(link),
    });
    this.#links.add(link);
  }
}

function healthy(): Fault {
  return { kind: 'none', delay: 0 };
}

function listening(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, HOST, () => {
      server.off('error', reject);
      // accepting may fail later, for want of file descriptors; the client notices
      server.on('error', () => {});
      resolve();
    });
  });
}
