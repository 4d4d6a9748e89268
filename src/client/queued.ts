import type { Server } from '../wire/topology.js';
import type { Physical } from './physical.js';
import type { Statement } from './statement.js';
import type { StatementError } from './verdict.js';
import type { Waiter } from './waiting-line.js';

/** What becomes of a statement that waited for its turn. */
export interface QueueEnds {
  lent(statement: Statement, physical: Physical): void;
  failed(statement: Statement, server: Server, error: StatementError): void;
}

/** A statement in the line of a server's pool: one object, for most of a busy application's statements are one. */
export class Queued implements Waiter<Physical> {
  constructor(
    readonly statement: Statement,
    readonly server: Server,
    readonly ends: QueueEnds,
  ) {}

  get waitUntil(): number {
    return this.statement.waitUntil;
  }

  set waitUntil(at: number) {
    this.statement.waitUntil = at;
  }

  get signal(): AbortSignal | undefined {
    return this.statement.signal;
  }

  resolve(physical: Physical): void {
    this.ends.lent(this.statement, physical);
  }

  reject(error: StatementError): void {
    this.ends.failed(this.statement, this.server, error);
  }
}
