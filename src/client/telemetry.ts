import type { Attributes, Histogram, Meter, Span, Tracer } from '@opentelemetry/api';
import type { Server } from '../wire/topology.js';
import type { TelemetryOptions } from './options.js';
import { operationOf } from './sql-words.js';
import type { Statement, Trace } from './statement.js';
import type { StatementError } from './verdict.js';

/**
 * Spans and metrics by the semantic conventions for database clients, through `@opentelemetry/api`, which is the application's: it is loaded
 * when an application asks for telemetry, and whatever is registered there gets them.
 */

/** What it tells about. */
export interface Subject {
  readonly database: string | undefined;
  /** Of each server's connections. */
  stats(): readonly {
    readonly server: Server;
    readonly idle: number;
    readonly busy: number;
    readonly waiting: number;
  }[];
}

/** The names are the conventions'; those that begin with `mysql2_fabric` are ours. */
const NAME = 'mysql2-fabric';

interface Instruments {
  readonly tracer: Tracer;
  /** Of statements, in seconds. */
  readonly duration: Histogram;
  readonly kind: number;
  readonly failed: number;
}

export class Telemetry {
  readonly #queryText: boolean;
  readonly #subject: Subject;
  #instruments: Instruments | undefined;
  #unobserve = (): void => {};
  #ended = false;

  constructor({ queryText }: Required<TelemetryOptions>, subject: Subject) {
    this.#queryText = queryText;
    this.#subject = subject;
    this.#load().catch(error => {
      process.emitWarning(
        `telemetry: @opentelemetry/api cannot be used, so there are no spans and metrics: ${error.message}`,
      );
    });
  }

  /** Begins to follow the statement; undefined: nothing is loaded yet. */
  begin(statement: Statement): Trace | undefined {
    const instruments = this.#instruments;
    if (instruments === undefined) return undefined;
    const { text, route } = statement;
    const operation = operationOf(text);
    const attributes: Attributes = {
      'db.system.name': 'mysql',
      'mysql2_fabric.group': route.group,
      'mysql2_fabric.mode': route.mode,
    };
    if (operation !== undefined) attributes['db.operation.name'] = operation;
    if (this.#subject.database) attributes['db.namespace'] = this.#subject.database;
    if (this.#queryText) attributes['db.query.text'] = text;
    const name = [operation ?? 'mysql', this.#subject.database].filter(Boolean).join(' ');
    return new StatementTrace(instruments, instruments.tracer.startSpan(name, { kind: instruments.kind, attributes }), {
      'db.system.name': 'mysql',
      ...(operation !== undefined && { 'db.operation.name': operation }),
    });
  }

  /** The pools are looked at no more. */
  end(): void {
    this.#ended = true;
    this.#unobserve();
  }

  async #load(): Promise<void> {
    const { metrics, SpanKind, SpanStatusCode, trace } = await import('@opentelemetry/api');
    if (this.#ended) return;
    const meter = metrics.getMeter(NAME);
    this.#instruments = {
      tracer: trace.getTracer(NAME),
      duration: meter.createHistogram('db.client.operation.duration', { unit: 's' }),
      kind: SpanKind.CLIENT,
      failed: SpanStatusCode.ERROR,
    };
    this.#unobserve = observePools(meter, this.#subject);
  }
}

/** They are looked at when somebody reads the metrics; returns what ends that. */
function observePools(meter: Meter, { database, stats }: Subject): () => void {
  const count = meter.createObservableUpDownCounter('db.client.connection.count', { unit: '{connection}' });
  const pending = meter.createObservableUpDownCounter('db.client.connection.pending_requests', { unit: '{request}' });
  const instruments = [count, pending];
  const look: Parameters<Meter['addBatchObservableCallback']>[0] = observer => {
    for (const { server, idle, busy, waiting } of stats()) {
      const name = { 'db.client.connection.pool.name': `${server.host}:${server.port}/${database ?? ''}` };
      observer.observe(count, idle, { ...name, 'db.client.connection.state': 'idle' });
      observer.observe(count, busy, { ...name, 'db.client.connection.state': 'used' });
      observer.observe(pending, waiting, name);
    }
  };
  meter.addBatchObservableCallback(look, instruments);
  return () => meter.removeBatchObservableCallback(look, instruments);
}

class StatementTrace implements Trace {
  readonly #began = performance.now();
  readonly #instruments: Instruments;
  readonly #span: Span;
  readonly #measured: Attributes;

  constructor(instruments: Instruments, span: Span, measured: Attributes) {
    this.#instruments = instruments;
    this.#span = span;
    this.#measured = measured;
  }

  sent({ host, port }: Server): void {
    const place = { 'server.address': host, 'server.port': port };
    this.#span.setAttributes(place);
    Object.assign(this.#measured, place);
  }

  end(retries: number, error: StatementError | undefined): void {
    this.#span.setAttribute('mysql2_fabric.retries', retries);
    if (error !== undefined) this.#failed(error);
    this.#span.end();
    this.#instruments.duration.record((performance.now() - this.#began) / 1_000, this.#measured);
  }

  /** Without the message, which may quote values. */
  #failed(error: StatementError): void {
    const { code, errno, name, fabric } = Object(error) as StatementError; // the reason of an AbortSignal may be anything
    const type = String((typeof code === 'string' ? code : errno) ?? name); // a DOMException's code is a number of old
    this.#measured['error.type'] = type;
    this.#span.setStatus({ code: this.#instruments.failed });
    this.#span.setAttribute('error.type', type);
    if (errno !== undefined) this.#span.setAttribute('db.response.status_code', String(errno));
    if (fabric !== undefined) this.#span.setAttribute('mysql2_fabric.outcome', fabric.outcome);
  }
}
