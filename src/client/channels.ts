import { channel } from 'node:diagnostics_channel';
import type { Server } from '../wire/topology.js';
import type { ErrorFacts } from './errors.js';
import type { Route } from './route.js';
import type { StatementError } from './verdict.js';

/** What is published of statements, on Node's diagnostics channels. Nothing is made while nobody subscribes; no SQL, no values, no messages. */

/** On `mysql2-fabric:route`, just before a statement is sent. */
export interface RouteMessage extends Route {
  readonly server: Server;
  /** How often it was tried before. */
  readonly retries: number;
}

/** On `mysql2-fabric:error`, for each error of a statement that was sent, also of one that is tried again. */
export interface ErrorMessage extends ErrorFacts {
  readonly code: string | undefined;
  readonly errno: number | undefined;
  /** The library tries again. */
  readonly retried: boolean;
}

const routes = channel('mysql2-fabric:route');
const errors = channel('mysql2-fabric:error');

export function publishRoute({ group, mode }: Route, server: Server, retries: number): void {
  if (routes.hasSubscribers) routes.publish({ group, mode, server, retries } satisfies RouteMessage);
}

/** @param error has its facts already. */
export function publishError({ code, errno, fabric }: StatementError, retried: boolean): void {
  if (errors.hasSubscribers) errors.publish({ ...(fabric as ErrorFacts), code, errno, retried } satisfies ErrorMessage);
}
