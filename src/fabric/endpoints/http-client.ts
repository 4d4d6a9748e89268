import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Client } from './listener.js';

/** One connection of the XML-RPC endpoint: its requests are answered one after the other, and it takes the answers in time. */

export interface HttpClientLimits {
  /** Requests that may wait for their answers. */
  readonly pipelined: number;
  /** ms in which the client has to take an answer. */
  readonly taking: number;
}

export class HttpClient implements Client {
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  readonly #limits: HttpClientLimits;
  #waiting = 0;
  /** That of the request that is carried out. */
  #answering: ServerResponse | null = null;
  #leaving = false;
  #last: Promise<void> = Promise.resolve();

  constructor(socket: Socket, limits: HttpClientLimits) {
    this.#socket = socket;
    this.#limits = limits;
    this.closed = new Promise(resolve => socket.once('close', () => resolve()));
  }

  /** Has the request served when those before it are: `serve` ends the response. Requests whose client has gone are not served any more. */
  take(response: ServerResponse, serve: () => Promise<void>): void {
    if (this.#socket.destroyed) return;
    if (this.#waiting >= this.#limits.pipelined) {
      this.destroy();
      return;
    }
    this.#waiting += 1;
    this.#last = this.#last.then(async () => {
      if (!this.#socket.destroyed) {
        await serve();
        await this.#taken(response);
      }
      this.#waiting -= 1;
      this.#answering = null;
      if (this.#leaving) this.destroy();
    });
  }

  /** From here on the request under way is one that is carried out. */
  answering(response: ServerResponse): void {
    this.#answering = response;
  }

  finish(): void {
    this.#leaving = true;
    if (this.#answering) this.#answering.shouldKeepAlive = false;
    else this.destroy();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** What a client does not take is not kept for it. */
  async #taken(response: ServerResponse): Promise<void> {
    if (response.destroyed || response.closed) return;
    const timer = setTimeout(() => this.destroy(), this.#limits.taking);
    await new Promise<void>(resolve => response.once('close', resolve));
    clearTimeout(timer);
  }
}
