import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { DigestGuard, ha1 } from '../../wire/digest.js';
import type { CommandContext } from '../commands/define.js';
import { parseAddress } from '../model.js';
import { type EndpointOptions, XMLRPC_PORT } from '../options.js';
import { createAnswerer } from './xmlrpc-answers.js';

/** The XML-RPC endpoint: HTTP, who may come in, and how much and how slowly they may send. What is answered is `xmlrpc-answers.ts`'s. */

export interface XmlRpcEndpoint {
  /** The real one: where port 0 was asked for, the port it got. */
  readonly address: { readonly host: string; readonly port: number };
  /** Takes no new calls and waits for those under way, at most `grace` ms; then nothing of it is open. */
  stop(grace: number): Promise<void>;
}

/** Bounds on what a client may cost; milliseconds and bytes. */
export interface XmlRpcLimits {
  readonly body: number;
  readonly headersTimeout: number;
  readonly requestTimeout: number;
  readonly keepAliveTimeout: number;
  readonly connections: number;
}

const LIMITS: XmlRpcLimits = {
  body: 1024 * 1024,
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  keepAliveTimeout: 60_000,
  connections: 2_000,
};

const PATHS: readonly string[] = ['/RPC2', '/'];

/** Listens; rejects with Node's error when it cannot (EADDRINUSE ...). */
export async function startXmlRpc(
  options: EndpointOptions,
  context: CommandContext,
  limits: Partial<XmlRpcLimits> = {},
): Promise<XmlRpcEndpoint> {
  const bounds = { ...LIMITS, ...limits };
  const admit = createAdmission(options);
  const answer = createAnswerer(context);
  const underWay = new Set<ServerResponse>();

  const server = createLimitedServer(bounds, (request, response) => {
    underWay.add(response);
    response.once('close', () => underWay.delete(response));
    serve(request, response, bounds.body, admit, answer).catch((error: unknown) => {
      context.log.error(`an XML-RPC call broke: ${error instanceof Error ? (error.stack ?? error.message) : error}`);
      if (!response.headersSent) end(response, 500);
    });
  });
  const address = await listen(server, options.address);
  // What goes wrong from here on (no more file descriptors ...) costs single connections, never the process.
  server.on('error', error => context.log.error(`the XML-RPC endpoint: ${error.message}`));
  return {
    address,
    stop: grace => close(server, underWay, grace),
  };
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

function createLimitedServer(bounds: XmlRpcLimits, handler: Handler): Server {
  const { headersTimeout, requestTimeout, keepAliveTimeout } = bounds;
  // Node looks for clients that are too slow in this rhythm.
  const connectionsCheckingInterval = Math.min(1_000, headersTimeout, requestTimeout);
  const server = createServer(
    { headersTimeout, requestTimeout, keepAliveTimeout, connectionsCheckingInterval, maxHeaderSize: 16_384 },
    handler,
  );
  server.maxConnections = bounds.connections;
  server.maxHeadersCount = 100;
  return server;
}

async function listen(server: Server, text: string): Promise<{ host: string; port: number }> {
  const parsed = parseAddress(text, XMLRPC_PORT, true);
  if ('problem' in parsed) throw new RangeError(parsed.problem);
  const { host, port } = parsed.value;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  return { host, port: (server.address() as AddressInfo).port };
}

/** Connections on which nothing is asked are not waited for, and none is kept for another call. */
async function close(server: Server, underWay: ReadonlySet<ServerResponse>, grace: number): Promise<void> {
  const closed = new Promise<void>(resolve => server.close(() => resolve()));
  const ended = Promise.all([...underWay].map(response => once(response, 'close')));
  const timeUp = new AbortController();
  await Promise.race([ended, sleep(grace, undefined, { signal: timeUp.signal }).catch(() => {})]);
  timeUp.abort();
  server.closeAllConnections();
  await closed;
}

/** What to send instead of an answer; null: come in. */
type Admission = (request: IncomingMessage) => { readonly status: number; readonly challenge?: string } | null;

/** Judged by the head of the request alone, so that a stranger's body is never kept. */
function createAdmission({ user, password, disableAuthentication }: EndpointOptions): Admission {
  const hash = ha1(user, password);
  const guard = new DigestGuard({ passwordHash: name => (name === user ? hash : undefined) });
  return ({ method = '', url = '', headers }) => {
    if (method !== 'POST') return { status: 501 };
    if (!PATHS.includes(url)) return { status: 404 };
    if (disableAuthentication) return null;
    const verdict = guard.verify(headers.authorization, method, url);
    if (verdict.outcome === 'granted') return null;
    // The original answered 400, not 401, to wrong credentials: connectors must not ask for the password again and again.
    if (verdict.outcome === 'refused') return { status: 400 };
    return { status: 401, challenge: guard.challenge({ stale: verdict.stale }) };
  };
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  bodyLimit: number,
  admit: Admission,
  answer: (body: Buffer) => Promise<Uint8Array>,
): Promise<void> {
  const refusal = admit(request);
  if (refusal) {
    if (refusal.challenge !== undefined) response.setHeader('WWW-Authenticate', refusal.challenge);
    end(response, refusal.status);
    return;
  }
  const body = await readBody(request, bodyLimit);
  if (body === 'gone') return;
  if (body === 'too large') {
    end(response, 413);
    return;
  }
  const bytes = await answer(body);
  response.writeHead(200, { 'Content-Type': 'text/xml', 'Content-Length': bytes.byteLength });
  response.end(bytes);
}

function end(response: ServerResponse, status: number): void {
  response.writeHead(status, { 'Content-Length': 0 });
  response.end();
}

/** What is too large is still taken from the wire, and dropped: a client that was cut off could not read why. `requestTimeout` ends it. */
function readBody(request: IncomingMessage, limit: number): Promise<Buffer | 'too large' | 'gone'> {
  if (Number(request.headers['content-length'] ?? 0) > limit) return Promise.resolve('too large');
  return new Promise(resolve => {
    const chunks: Buffer[] = [];
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= limit) {
        chunks.push(chunk);
      } else {
        chunks.length = 0;
        resolve('too large');
      }
    });
    request.on('end', () => resolve(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks)));
    request.on('error', () => resolve('gone'));
    request.on('close', () => resolve('gone'));
  });
}
