import { MODE_READONLY, type Server } from '../wire/topology.js';
import { reasonOf, whileRunning } from './abort.js';
import { publishError, publishRoute } from './channels.js';
import { Chooser } from './chooser.js';
import { Announcer } from './events.js';
import { type Explanation, explain } from './explain.js';
import { FabricRpc } from './fabric-rpc.js';
import { annotate } from './failures.js';
import { Finder } from './finder.js';
import type { ClientConfig } from './options.js';
import type { Physical } from './physical.js';
import type { Target } from './properties.js';
import { Queued, type QueueEnds } from './queued.js';
import { Reporter } from './reporter.js';
import type { Route } from './route.js';
import { ServerPools } from './server-pools.js';
import { ranInPart, transactionAfter } from './session-state.js';
import { mayCommit, onlyReads } from './sql-words.js';
import type { Done, Hold, Lender, Statement } from './statement.js';
import { Telemetry } from './telemetry.js';
import { createTopologyCache, type TopologyCache } from './topology-cache.js';
import { mayBeReadOnly, type Phase, type StatementError, type Verdict, verdict } from './verdict.js';

/** ms before a statement that failed more than once is tried again. */
const PAUSE = { first: 10, most: 100 };

/** Sent to a server that refused a statement as a read-only one does; ms within which it must answer. */
const ASK_ROLE = {
  sql: 'SELECT @@global.read_only + @@global.innodb_read_only AS readOnly',
  timeout: 5_000,
  // What the application wants its own rows to look like does not matter here.
  rowsAsArray: false,
  nestTables: false,
  typeCast: true,
} as const;

/**
 * The one loop of the client: topology → route → lend → on error classify. The parts (cache, rpc, balancers, pools) don't know each other;
 * the session calls each in turn.
 */
export class Session {
  readonly config: ClientConfig;
  readonly pools: ServerPools;
  readonly topologies: TopologyCache;
  readonly events = new Announcer();
  readonly #telemetry: Telemetry | undefined;
  readonly #rpc: FabricRpc;
  readonly #chooser: Chooser;
  /** Groups that had servers once: they are waited for when they have none; others do not exist. */
  readonly #seen = new Set<string>();
  readonly #reporter: Reporter;
  /** The balancer wants to know how long statements take. */
  readonly #timed: boolean;
  readonly #finder: Finder;
  #ended = false;

  /** @param onConnect hears of each new connection to a server. */
  constructor(config: ClientConfig, onConnect: (physical: Physical) => void) {
    this.config = config;
    this.#rpc = new FabricRpc(config.nodes, config.fabricTimeout);
    this.#reporter = new Reporter(this.#rpc);
    this.topologies = createTopologyCache({
      fetch: group => this.#rpc.topology(group),
      ttl: config.ttl,
      onChange: (topology, before) => {
        if (topology.servers.length > 0) this.#seen.add(topology.group);
        this.pools.reconcile(topology);
        this.#chooser.adopt(topology);
        this.events.topologyChanged(topology, before);
      },
    });
    const refresh = (server: Server): void => {
      this.topologies.refresh(server.group).catch(() => {}); // whoever needs the topology next asks again and hears why
    };
    this.pools = new ServerPools(config, {
      onConnect: physical => {
        this.events.connected(physical.server);
        onConnect(physical);
      },
      onIdleLost: refresh,
      onOverdue: refresh,
      onLook: (server, waiting) => this.events.waiting(server, waiting),
      onDrained: server => this.events.drained(server),
    });
    this.#chooser = new Chooser(config.balancer, config.slowStart, this.pools);
    this.#finder = new Finder(this.topologies, this.pools, this.#chooser, config.failoverTimeout, {
      ended: () => this.#ended,
      seen: group => this.#seen.has(group),
      onUnreachable: (server, error) => this.events.unreachable(server, error),
      onRefused: (server, error) => this.events.refused(server, error),
      follow: (ruling, group, server, error) => this.#follow(ruling, group, server, error),
    });
    this.#timed = config.balancer === 'leastLatency' || typeof config.balancer === 'function';
    const { database } = config.mysql;
    if (config.telemetry !== false)
      this.#telemetry = new Telemetry(config.telemetry, { database, stats: () => this.pools.stats() });
  }

  /** A connection that is idle now to a server that is right for the route; undefined when that cannot be had without waiting. */
  take(route: Route): Physical | undefined {
    return this.#finder.take(route);
  }

  /** A connection to a server that is right for the route; see `Finder.obtain`. */
  obtain(route: Route, hold: Hold): Promise<Physical> {
    return this.#finder.obtain(route, hold);
  }

  /** Opens the connections that are to be kept, before anybody needs one. */
  warm(group: string): void {
    if (this.config.minConnections > 0) this.topologies.refresh(group).catch(() => {});
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Lends to statements that need no session of their own: from the shared pools, for one statement. */
  readonly shared: Lender = {
    take: route => this.#finder.take(route),
    obtain: (route, hold) => this.#finder.obtain(route, hold),
    done: (physical, statement, rows, error) => {
      // Nobody could commit a transaction that was left open, and nobody may inherit it.
      if (transactionAfter(rows) || ranInPart(statement, error)) physical.home.discard(physical);
      else this.#giveBack(physical);
    },
    lose: physical => physical.home.discard(physical),
    inTransaction: false,
    mayRetry: true,
  };

  #giveBack(physical: Physical): void {
    if (!this.config.resetOnRelease) physical.home.giveBack(physical);
    else physical.connection.reset(error => physical.home[error ? 'discard' : 'giveBack'](physical));
  }

  /** Telemetry follows the statement from now on. */
  trace(statement: Statement): void {
    if (this.#telemetry !== undefined) statement.trace = this.#telemetry.begin(statement);
  }

  /** Runs the statement on a connection of the lender's, again where the error contract allows it. Tells the statement how it ended. */
  run(lender: Lender, statement: Statement): void {
    if (statement.signal?.aborted) {
      const reason = reasonOf(statement.signal);
      process.nextTick(() => statement.fail(reason));
      return;
    }
    // A connection that somebody holds may still run what was given to it before the end.
    const physical = this.#ended && lender === this.shared ? undefined : lender.take(statement.route);
    if (physical !== undefined) this.#send(lender, statement, physical);
    else if (lender !== this.shared || !this.#queue(statement)) this.#obtainAndSend(lender, statement);
  }

  /** All connections of the server whose turn it is are busy: the statement is sent on the first that comes free. */
  #queue(statement: Statement): boolean {
    const server = this.#finder.passedOver;
    if (server === undefined) return false;
    return this.#finder.queue(server, new Queued(statement, server, this.#queueEnds));
  }

  readonly #queueEnds: QueueEnds = {
    lent: (statement, physical) => this.#send(this.shared, statement, physical),
    failed: (statement, server, error) => this.#lendOrRefuse(statement, server, error),
  };

  #lendOrRefuse(statement: Statement, server: Server, error: StatementError): void {
    try {
      this.#finder.lendFailed(error, statement.route, server, statement);
    } catch {
      this.#refuse(statement, error);
      return;
    }
    this.#obtainAndSend(this.shared, statement);
  }

  /** @param boundTo the server that a transaction binds the connection to. */
  explain(target: Target, boundTo?: Server): Explanation {
    const { balancer, failoverTimeout } = this.config;
    const known = target.group === null ? undefined : this.topologies.inspect(target.group);
    const cooling = (server: Server): boolean => this.pools.cooling(server);
    return explain(target, { known, node: this.#rpc.node, cooling, balancer, failoverTimeout, boundTo });
  }

  /** Ends every connection and the calls to the Fabric nodes. */
  async end(): Promise<void> {
    this.#ended = true;
    this.#telemetry?.end();
    this.#rpc.close();
    await this.pools.end();
  }

  #obtainAndSend(lender: Lender, statement: Statement): void {
    statement.deadline ||= performance.now() + this.config.failoverTimeout;
    lender.obtain(statement.route, statement).then(
      physical => this.#send(lender, statement, physical),
      (error: StatementError) => this.#refuse(statement, error),
    );
  }

  /** It never came to a server. */
  #refuse(statement: Statement, error: StatementError): void {
    if (!statement.signal?.aborted && error.fabric === undefined)
      annotate(error, { outcome: 'not-executed' }, statement.route, null);
    statement.fail(error);
  }

  #send(lender: Lender, statement: Statement, physical: Physical): void {
    statement.trace?.sent(physical.server);
    publishRoute(statement.route, physical.server, statement.retries);
    let taken = false;
    let answered = false;
    const began = this.#timed ? performance.now() : 0;
    const done: Done = (error, rows, fields) => {
      if (answered) return; // mysql2 tells a timed-out query's callback again when the connection is closed under it
      answered = true;
      if (error) {
        this.#judge(lender, statement, physical, error, taken);
      } else {
        if (began > 0) this.pools.took(physical.server, performance.now() - began);
        lender.done(physical, statement, rows);
        statement.succeed(rows, fields);
      }
    };
    const heard: Done = statement.signal === undefined ? done : whileRunning(statement.signal, physical, done);
    try {
      statement.send(physical.connection, heard);
      taken = true;
    } catch (error) {
      if (answered) throw error; // the application's own callback threw
      answered = true;
      heard(null); // nobody listens to the signal any more
      // mysql2 refused the arguments; nothing was sent. Later, for whoever gets the connection next may be refused in the same way.
      process.nextTick(() => {
        lender.done(physical, statement, undefined);
        statement.fail(error as StatementError);
      });
    }
  }

  /** @param taken false: mysql2 told the error at once, for the connection is closed. */
  #judge(lender: Lender, statement: Statement, physical: Physical, error: StatementError, taken: boolean): void {
    if (!mayBeReadOnly(error) || statement.route.mode === MODE_READONLY) {
      this.#conclude(lender, statement, physical, error, taken ? 'send' : 'refuse');
      return;
    }
    // 1290 has other causes than read-only (secure_file_priv, ...): only the server can tell.
    physical.connection.query(ASK_ROLE, (failed, rows) => {
      const writable = !failed && Number((rows as { readOnly?: unknown }[])[0]?.readOnly) === 0;
      this.#conclude(lender, statement, physical, error, writable ? 'writable' : 'send');
    });
  }

  #conclude(lender: Lender, statement: Statement, physical: Physical, error: StatementError, phase: Phase): void {
    const { route, text } = statement;
    const ruling = verdict(error, {
      phase,
      mode: route.mode,
      inTransaction: lender.inTransaction,
      mayCommit: mayCommit(text),
      repeatable: !statement.handedOut && onlyReads(text),
      refusedWritable: statement.refusedWritable,
    });
    statement.refusedWritable = phase === 'writable';
    annotate(error, ruling, route, physical.server);
    this.#follow(ruling, route.group, physical.server, error);
    const mayRetry = ruling.retry && lender.mayRetry;
    publishError(error, mayRetry);
    if (ruling.evict) lender.lose(physical);
    else lender.done(physical, statement, undefined, error);
    if (!mayRetry) {
      statement.fail(error);
      return;
    }
    statement.waitUntil = 0;
    statement.deadline ||= performance.now() + this.config.failoverTimeout;
    const pause = Math.min(PAUSE.first * 2 ** statement.retries++, PAUSE.most);
    if (performance.now() + pause > statement.deadline) statement.fail(error);
    else if (statement.retries === 1) this.#obtainAndSend(lender, statement);
    else setTimeout(() => this.#obtainAndSend(lender, statement), pause);
  }

  #follow(ruling: Verdict, group: string, server: Server, error: StatementError): void {
    if (ruling.refresh) this.topologies.forget(group);
    if (ruling.report && this.config.reportErrors)
      this.#reporter.report(server, String(error.errno ?? error.code ?? error.name));
  }
}
