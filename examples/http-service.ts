/** A small web service: it reads from the secondaries, writes to the primary, and goes on through a failover. */
import fastify from 'fastify';
import {
  createPool,
  type ErrorFacts,
  MODE_READONLY,
  type ResultSetHeader,
  type RowDataPacket,
} from 'mysql2-fabric/promise';
import { options } from './options.js';

const writers = createPool({ ...options, connectionLimit: 10 });
const readers = createPool({ ...options, connectionLimit: 10, mode: MODE_READONLY });
await writers.query('CREATE TABLE IF NOT EXISTS notes (id INT AUTO_INCREMENT PRIMARY KEY, text VARCHAR(200))');

const service = fastify();

service.get('/notes', async () => {
  const [notes] = await readers.query<RowDataPacket[]>('SELECT id, text FROM notes ORDER BY id DESC LIMIT 20');
  return notes;
});

service.post<{ Body: { text: string } }>('/notes', async ({ body }, reply) => {
  const [result] = await writers.execute<ResultSetHeader>('INSERT INTO notes (text) VALUES (?)', [body.text]);
  return reply.code(201).send({ id: result.insertId });
});

/** Whoever gets a 503 may try again; after a 500 that is in doubt, the note may be there or not. */
service.setErrorHandler(async (error: Error & { fabric?: ErrorFacts }, _request, reply) => {
  const outcome = error.fabric?.outcome;
  return reply.code(outcome === 'not-executed' ? 503 : 500).send({ error: error.message, outcome });
});

service.addHook('onClose', () => Promise.all([writers.end(), readers.end()]));
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => service.close());
console.log(await service.listen({ host: '127.0.0.1', port: Number(process.env.PORT ?? 3000) }));
