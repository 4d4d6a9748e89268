import type { Server } from '../wire/topology.js';
import { connectionLost } from './physical.js';
import { transactionStep } from './sql-words.js';
import type { Statement } from './statement.js';
import type { StatementError } from './verdict.js';

/**
 * Where the connection was lost with a transaction that the application has not ended yet. What was meant for it must not run outside of it:
 * all of it fails up to the statement that ends the transaction (a COMMIT fails too) or begins another.
 */
export class LostTransaction {
  /** undefined: none was lost. */
  server: Server | undefined;
  /** The application itself ended it, and not by SQL. */
  abandoned = false;

  /** The application knows that it is over. */
  forget(): void {
    this.server = undefined;
    this.abandoned = false;
  }

  /** What a closure goes on to do must not run outside of its transaction, whatever it is, until the closure is over. */
  abandon(server: Server | undefined): void {
    this.server ??= server;
    this.abandoned = this.server !== undefined;
  }

  refusal({ text, route }: Statement): StatementError | undefined {
    const { server } = this;
    if (server === undefined || text === '') return undefined;
    const step = this.abandoned ? undefined : transactionStep(text);
    if (step !== undefined) this.forget();
    if (step === 'begin' || step === 'rollback') return undefined;
    const error = connectionLost(`the transaction on ${server.host}:${server.port} was rolled back`);
    error.fabric = { outcome: 'rolled-back', group: route.group, mode: route.mode, server };
    return error;
  }
}
