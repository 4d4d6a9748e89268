import { metrics, trace } from '@opentelemetry/api';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { createPool, type FabricPoolOptions } from '../../../src/index.js';
import { createPool as createPromisePool, type FabricPool } from '../../../src/promise.js';
import { type ScriptedMysql, startScriptedMysql } from '../../fakes/scripted-mysql.js';
import { aServer, type ScriptedNode, startScriptedNode } from '../../fakes/scripted-node.js';

/** OpenTelemetry's own SDK, and what it gets to see. */

const spans = new InMemorySpanExporter();
const tracing = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] });
const measured = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
const reader = new PeriodicExportingMetricReader({ exporter: measured, exportIntervalMillis: 3_600_000 });
const metering = new MeterProvider({ readers: [reader] });

let node: ScriptedNode;
let mysql: ScriptedMysql;
let pools: FabricPool[] = [];

beforeAll(() => {
  trace.setGlobalTracerProvider(tracing);
  metrics.setGlobalMeterProvider(metering);
});
afterAll(async () => {
  await Promise.all([tracing.shutdown(), metering.shutdown()]);
  trace.disable();
  metrics.disable();
});
beforeEach(async () => {
  [node, mysql] = await Promise.all([startScriptedNode(), startScriptedMysql()]);
  node.servers = [aServer(mysql.port)];
  spans.reset();
  measured.reset();
});
afterEach(async () => {
  await Promise.all(pools.map(pool => pool.end()));
  pools = [];
  await Promise.all([node.close(), mysql.close()]);
});

function create(options: Partial<FabricPoolOptions> = {}): FabricPool {
  const fabric = { host: '127.0.0.1', port: node.port };
  const pool = createPromisePool({ fabric, user: 'u', database: 'shop', group: 'g', ...options });
  pools.push(pool);
  return pool;
}

/** With what is loaded for it. */
async function createTraced(options: Partial<FabricPoolOptions> = {}): Promise<FabricPool> {
  const pool = create({ telemetry: true, ...options });
  await vi.waitFor(async () => {
    await pool.query('SELECT 1');
    expect(spans.getFinishedSpans()).not.toEqual([]);
  });
  spans.reset();
  return pool;
}

const only = (): ReadableSpan => {
  expect(spans.getFinishedSpans()).toHaveLength(1);
  return spans.getFinishedSpans()[0] as ReadableSpan;
};

describe('a span', () => {
  it("has the conventions' names, and neither SQL nor values", async () => {
    const pool = await createTraced();
    await pool.query('/* a comment */ insert into t values (?)', ['a-secret']);
    const span = only();
    expect(span.name).toBe('INSERT shop');
    expect(span.kind).toBe(2);
    expect(span.status).toEqual({ code: 0 });
    expect(span.attributes).toEqual({
      'db.system.name': 'mysql',
      'db.namespace': 'shop',
      'db.operation.name': 'INSERT',
      'server.address': '127.0.0.1',
      'server.port': mysql.port,
      'mysql2_fabric.group': 'g',
      'mysql2_fabric.mode': 3,
      'mysql2_fabric.retries': 0,
    });
  });

  it('has the SQL when that is wanted, values not put in', async () => {
    const pool = await createTraced({ telemetry: { queryText: true } });
    await pool.query('SELECT * FROM t WHERE a = ?', ['a-secret']);
    expect(only().attributes['db.query.text']).toBe('SELECT * FROM t WHERE a = ?');
  });

  it('says how a statement failed, and nothing of the message', async () => {
    const pool = await createTraced();
    mysql.script = (_sql, answer) => answer.error(1062, '23000', "Duplicate entry 'a-secret'");
    await expect(pool.query('INSERT 1')).rejects.toThrow('Duplicate');
    const span = only();
    expect(span.status).toEqual({ code: 2 });
    expect(span.attributes).toMatchObject({
      'error.type': 'ER_DUP_ENTRY',
      'db.response.status_code': '1062',
      'mysql2_fabric.outcome': 'answered',
    });
    expect(JSON.stringify([span.attributes, span.events, span.status])).not.toContain('a-secret');
  });

  it('is one for a statement that is tried again', async () => {
    const pool = await createTraced();
    mysql.script = (sql, answer) => {
      if (sql.startsWith('SELECT @@')) answer.rows(['1'], true, 'readOnly');
      else if (mysql.statements.filter(each => each === 'INSERT 1').length === 1)
        answer.error(1836, 'HY000', 'read only');
      else answer.ok();
    };
    await pool.query('INSERT 1');
    expect(only()).toMatchObject({ status: { code: 0 }, attributes: { 'mysql2_fabric.retries': 1 } });
  });

  it('is there for statements of a connection, of events, and for those that never came to a server', async () => {
    const pool = await createTraced();
    const connection = await pool.getConnection();
    await connection.beginTransaction();
    await connection.query('SELECT 1');
    await connection.commit();
    connection.release();
    await new Promise(resolve => pool.pool.query('SELECT 2').on('end', resolve));
    await pool.query({ sql: 'SELECT 3', group: 'unknown' }).catch(() => {});
    const told = spans.getFinishedSpans().map(({ name, attributes }) => [name, attributes['error.type']]);
    expect(told).toEqual([
      ['START shop', undefined],
      ['SELECT shop', undefined],
      ['COMMIT shop', undefined],
      ['SELECT shop', undefined],
      ['SELECT shop', 'FABRIC_NO_SERVER'],
    ]);
  });

  it('is there only when it was asked for', async () => {
    const pool = create();
    await pool.query('SELECT 1');
    await createTraced();
    await pool.query('SELECT 1');
    expect(spans.getFinishedSpans()).toEqual([]);
  });
});

describe('metrics', () => {
  const collect = async () => {
    measured.reset();
    await reader.forceFlush();
    const all = measured.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics.flatMap(({ metrics }) => metrics));
    return (name: string) => all.find(({ descriptor }) => descriptor.name === name)?.dataPoints ?? [];
  };
  const ours = { 'db.client.connection.pool.name': `127.0.0.1:0/shop` };

  it('tell of the connections while the pool lives, and of durations', async () => {
    const pool = await createTraced();
    ours['db.client.connection.pool.name'] = `127.0.0.1:${mysql.port}/shop`;
    const connection = await pool.getConnection();
    const find = await collect();
    const counts = find('db.client.connection.count').filter(
      ({ attributes }) => attributes['db.client.connection.pool.name'] === ours['db.client.connection.pool.name'],
    );
    expect(counts.map(({ attributes, value }) => [attributes['db.client.connection.state'], value])).toEqual([
      ['idle', 0],
      ['used', 1],
    ]);
    expect(find('db.client.connection.pending_requests')).toEqual(
      expect.arrayContaining([expect.objectContaining({ attributes: ours, value: 0 })]),
    );
    expect(find('db.client.operation.duration')).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ attributes: expect.objectContaining({ 'server.port': mysql.port }) }),
      ]),
    );
    connection.release();
  });
});

it.each([1, 'yes', { sql: true }, { queryText: 1 }, null])('telemetry: %j is refused', telemetry => {
  expect(() => createPool({ fabric: 'f', telemetry: telemetry as never })).toThrow(
    expect.objectContaining({ code: 'FABRIC_BAD_OPTION', option: 'telemetry' }),
  );
});
