import type mysql from 'mysql2';
import type { Server } from '../wire/topology.js';
import { Link, noGroup } from './link.js';
import { type ClientConfig, type Properties, parseProperties, type Target } from './options.js';
import { FabricPromiseConnection } from './promises.js';
import type { Route } from './route.js';
import { Session } from './session.js';
import { ConnectionShape } from './shapes.js';
import {
  CallbackStatement,
  type Done,
  EventStatement,
  facadeFor,
  type RawQuery,
  readRequest,
  type Statement,
  TaskStatement,
  type Verb,
} from './statement.js';
import type { StatementError } from './verdict.js';

export type ErrorCallback = (error: mysql.QueryError | null) => void;

const DEFAULT_PROPERTIES = Object.freeze({ group: null, mode: 3 } as const) satisfies Target;

/**
 * A mysql2 connection whose server the group's topology decides. Nothing is connected before the first statement (or `connect`); when the
 * server leaves its role or is lost, the next statement runs on the right one.
 */
export class FabricConnection extends ConnectionShape {
  override readonly config: mysql.ConnectionOptions;
  protected readonly session: Session;
  protected readonly link: Link;
  #target: Target;
  #route: Route | null;
  #fabricUuid: string | undefined;

  constructor(session: Session, target: Target) {
    super();
    this.session = session;
    this.config = session.config.mysql;
    this.#target = target;
    this.#route = routeOf(target);
    this.link = new Link(session, () => this.emit('connect'));
  }

  /** A connection of its own, with its own connections to the Fabric nodes and servers. */
  static open(config: ClientConfig): FabricConnection {
    return new FabricConnection(new Session(config, () => {}), config.target);
  }

  /**
   * Changes how statements are routed from now on. The physical connection is closed (an open transaction is rolled back).
   * @throws TypeError, RangeError with `code` FABRIC_BAD_PROPERTY, naming the property; nothing is changed then.
   */
  setProperty(properties: Properties): this {
    this.#retarget(parseProperties(this.#target, properties));
    return this;
  }

  /** Back to no group and MODE_READWRITE. */
  resetProperties(): this {
    this.#retarget(DEFAULT_PROPERTIES);
    return this;
  }

  get properties(): Target {
    return this.#target;
  }

  /** The server that the physical connection goes to; undefined while there is none. */
  get server(): Server | undefined {
    return this.link.server;
  }

  /** The Fabric node's uuid, once a topology was fetched. */
  get fabricUuid(): string | undefined {
    const group = this.#target.group;
    if (group !== null) this.#fabricUuid = this.session.topologies.peek(group)?.fabricUuid ?? this.#fabricUuid;
    return this.#fabricUuid;
  }

  /** `query` and `execute`: put here so that they keep mysql2's many typings. */
  static {
    for (const verb of ['query', 'execute'] as const) {
      const method = function (this: FabricConnection, sql: unknown, values?: unknown, callback?: unknown): unknown {
        return this.#statement(verb, sql, values, callback);
      };
      Object.defineProperty(FabricConnection.prototype, verb, { value: method, writable: true, configurable: true });
    }
  }

  override connect(callback?: ErrorCallback): void {
    this.#task('', (_connection, done) => done(null), callback);
  }

  override ping(callback?: ErrorCallback): void {
    this.#task('SELECT 1', (connection, done) => connection.ping(error => done(error)), callback);
  }

  override reset(callback?: ErrorCallback): void {
    const reset = (connection: mysql.Connection, done: Done): void =>
      connection.reset(error => {
        if (!error) this.link.wasReset();
        done(error);
      });
    this.#task('', reset, callback);
  }

  /** The statement is routed like any other, and prepared again wherever it comes to run. */
  // biome-ignore lint/suspicious/noExplicitAny: mysql2 returns its command here
  override prepare(sql: any, callback?: any): any {
    const routed = {
      execute: (values?: unknown, done?: unknown) => this.#statement('execute', sql, values, done),
      close: () => this.unprepare(sql),
    };
    const prepare = (connection: mysql.Connection, done: Done): void => {
      connection.prepare(sql, (error, info) => done(error, info && Object.assign(Object.create(info), routed)));
    };
    this.#task('SELECT 1', prepare, callback);
    return undefined;
  }

  override unprepare(sql: string): mysql.PrepareStatementInfo {
    return this.link.physical?.connection.unprepare(sql) as mysql.PrepareStatementInfo;
  }

  override changeUser(options: mysql.ConnectionOptions, callback?: ErrorCallback): void {
    const change = (connection: mysql.Connection, done: Done): void =>
      connection.changeUser(options, error => {
        this.link.changedUser(error !== null);
        done(error);
      });
    this.#task('', change, callback);
  }

  override pause(): void {
    this.link.physical?.connection.pause();
  }

  override resume(): void {
    this.link.physical?.connection.resume();
  }

  /** Ends it after what was given before. */
  override end(callback?: unknown, second?: unknown): void {
    const done = typeof callback === 'function' ? callback : second;
    this.link.finish(false, () => {
      this.session.end().then(() => {
        this.emit('end');
        if (typeof done === 'function') done(null);
      });
    });
  }

  /** Ends it now; what is under way fails. */
  override destroy(): void {
    this.link.destroy();
    void this.session.end();
  }

  close(): void {
    this.destroy();
  }

  override [Symbol.dispose](): void {
    this.end();
  }

  override promise(promiseImpl?: PromiseConstructor): FabricPromiseConnection {
    return new FabricPromiseConnection(this, promiseImpl ?? this.session.config.Promise);
  }

  // mysql2 declares fields where we must look at the connection of the moment; an accessor here would not be assignable to those.
  static {
    Object.defineProperties(FabricConnection.prototype, {
      threadId: ofTheMoment(connection => connection.link.physical?.connection.threadId ?? null), // as mysql2 before it is connected
      authorized: ofTheMoment(connection => connection.link.physical?.connection.authorized ?? false),
      state: ofTheMoment(connection => connection.link.physical?.connection.state ?? 'disconnected'),
    });
  }

  /** mysql2's flag; its promise wrapper looks at it. */
  get _closing(): boolean {
    return this.session.ended;
  }

  #statement(verb: Verb, sql: unknown, values: unknown, callback: unknown): RawQuery | undefined {
    const request = readRequest(sql, values, callback);
    const { route, elsewhere } = this.#routeFor(request.sql);
    if (request.callback !== undefined) {
      const statement = new CallbackStatement(route ?? NOWHERE, verb, request.sql, request.values, request.callback);
      this.#run(statement, route, elsewhere);
      return undefined;
    }
    const facade = facadeFor(request, this.config);
    const statement = new EventStatement(route ?? NOWHERE, verb, request.sql, request.values, facade);
    this.#run(statement, route, elsewhere);
    return facade;
  }

  #task(sql: string, task: (connection: mysql.Connection, done: Done) => void, callback: unknown): void {
    const hear = typeof callback === 'function' ? (callback as Done) : () => {};
    this.#run(new TaskStatement(this.#route ?? NOWHERE, sql, task, hear), this.#route, false);
  }

  /** Why nothing may run on it any more; undefined: it may. */
  protected refusal(): StatementError | undefined {
    return undefined;
  }

  #run(statement: Statement, route: Route | null, elsewhere: boolean): void {
    const refused = this.refusal() ?? (route === null ? noGroup() : undefined);
    if (route === null || refused !== undefined) process.nextTick(() => statement.fail(refused ?? noGroup()));
    else this.link.run(statement, elsewhere);
  }

  /** A statement's own `{ sql, group, mode }` before the connection's. */
  #routeFor(sql: unknown): { route: Route | null; elsewhere: boolean } {
    const own = statementTarget(this.#target, sql);
    return own === this.#target ? { route: this.#route, elsewhere: false } : { route: routeOf(own), elsewhere: true };
  }

  #retarget(target: Target): void {
    this.#target = target;
    this.#route = routeOf(target);
    this.link.retarget();
  }
}

function ofTheMoment(look: (connection: FabricConnection) => unknown): PropertyDescriptor & ThisType<FabricConnection> {
  return {
    configurable: true,
    get() {
      return look(this);
    },
  };
}

const NOWHERE: Route = Object.freeze({ group: '', mode: 3 });

export function routeOf({ group, mode }: Target): Route | null {
  return group === null ? null : Object.freeze({ group, mode });
}

/** The target with what `{ sql, group, mode }` says; the same object when it says nothing. */
export function statementTarget(target: Target, sql: unknown): Target {
  if (typeof sql !== 'object' || sql === null) return target;
  const { group, mode } = sql as Properties;
  if (group === undefined && mode === undefined) return target;
  const own = parseProperties(target, { group, mode } as Properties);
  return own.group === target.group && own.mode === target.mode ? target : own;
}
