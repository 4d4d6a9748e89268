import type { Server } from '../wire/topology.js';
import type { RequestMode } from './route.js';

/**
 * - `FABRIC_NO_SERVER`: no server of the group could take the statement until the deadline
 * - `FABRIC_UNREACHABLE`: no Fabric node answered, or each refused the call, and no topology is known yet
 * - `FABRIC_COMMAND_FAILED`: the Fabric node refused the command; the message is the node's
 * - `FABRIC_TIMEOUT`: a bounded wait of the client passed its bound
 * - `FABRIC_QUEUE_LIMIT`: all connections are busy and no more callers may wait (`queueLimit`, `waitForConnections: false`)
 * - `FABRIC_ABORTED`: the statement ran when its `signal` was aborted (`cause` is the reason), so its connection was cut
 * - `FABRIC_CLOSED`: the connection or pool was ended by the application
 * - `FABRIC_IN_DOUBT`: COMMIT of `withTransaction` was sent and no answer came; the cause says why
 * - `FABRIC_NESTED_TRANSACTION`: `withTransaction` in a transaction
 */
export type FabricErrorCode =
  | 'FABRIC_NO_SERVER'
  | 'FABRIC_UNREACHABLE'
  | 'FABRIC_COMMAND_FAILED'
  | 'FABRIC_TIMEOUT'
  | 'FABRIC_QUEUE_LIMIT'
  | 'FABRIC_ABORTED'
  | 'FABRIC_CLOSED'
  | 'FABRIC_IN_DOUBT'
  | 'FABRIC_NESTED_TRANSACTION';

/** An error of this library's own. SQL errors stay mysql2's. */
export class FabricError extends Error {
  override readonly name: string = 'FabricError';
  constructor(
    readonly code: FabricErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** How far a statement got:
 * - `not-executed`: nothing was sent, or the server refused it whole
 * - `in-doubt`: it was sent and the connection died before the answer
 * - `rolled-back`: the connection died inside a transaction before COMMIT was sent
 * - `answered`: the server answered with an ordinary SQL error
 */
export type Outcome = 'not-executed' | 'in-doubt' | 'rolled-back' | 'answered';

/** What every error of a routed statement carries as `error.fabric`. */
export interface ErrorFacts {
  readonly outcome: Outcome;
  readonly group: string;
  /** The server it was sent to; null when none was chosen. */
  readonly server: Server | null;
  readonly mode: RequestMode;
}

/** A wrong option or property: `TypeError` or `RangeError` with the option's name and `code` FABRIC_BAD_OPTION or FABRIC_BAD_PROPERTY. */
export type BadInput = (TypeError | RangeError) & { readonly code: string; readonly option: string };

export function badInput(
  Kind: typeof TypeError | typeof RangeError,
  code: 'FABRIC_BAD_OPTION' | 'FABRIC_BAD_PROPERTY',
  option: string,
  expected: string,
): BadInput {
  return Object.assign(new Kind(`${option}: ${expected}`), { code, option });
}
