import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { DigestGuard, ha1 } from '../../wire/digest.js';
import type { CommandContext } from '../commands/define.js';
import { type EndpointOptions, XMLRPC_PORT, type XmlRpcOptions } from '../options.js';
import { HttpClient, type HttpClientLimits } from './http-client.js';
import { createClients, type Endpoint, listen } from './listener.js';
import { readCertificates } from './tls.js';
import { createAnswerer } from './xmlrpc-answers.js';

/** The XML-RPC endpoint: HTTP, who may come in, and how much and how slowly they may send. What is answered is `xmlrpc-answers.ts`'s. */

const PATHS: readonly string[] = ['/RPC2', '/'];

/** Listens; rejects with Node's error when it cannot (EADDRINUSE ...). */
export async function startXmlRpc(options: XmlRpcOptions, context: CommandContext): Promise<Endpoint> {
  const { log } = context;
  const clients = createClients<HttpClient>(options.maxConnections);
  const parts: Parts = {
    bodyLimit: options.maxRequestSize,
    admit: createAdmission(options),
    enter: client => clients.admit(client),
    answer: createAnswerer(context),
  };
  const server = createLimitedServer(options);
  const clientOf = createRegister(server, client => clients.welcome(client), {
    pipelined: options.maxPipelined,
    taking: options.requestTimeout * 1_000,
  });
  server.on('request', (request, response) => {
    const client = clientOf(request.socket);
    client?.take(response, () =>
      serve(request, response, client, parts).catch((error: unknown) => {
        log.error(`an XML-RPC call broke: ${error instanceof Error ? (error.stack ?? error.message) : error}`);
        if (response.headersSent) client.destroy();
        else end(response, 500);
      }),
    );
  });
  return listen({ name: 'the XML-RPC endpoint', server, where: options.address, port: XMLRPC_PORT, clients, log });
}

function createLimitedServer(options: XmlRpcOptions): Server {
  const [headersTimeout, requestTimeout, keepAliveTimeout] = [
    options.headersTimeout * 1_000,
    Math.max(options.headersTimeout, options.requestTimeout) * 1_000,
    options.idleTimeout * 1_000,
  ];
  const limits = {
    headersTimeout,
    requestTimeout,
    keepAliveTimeout,
    // Node looks for clients that are too slow in this rhythm.
    connectionsCheckingInterval: Math.min(1_000, headersTimeout, requestTimeout),
    maxHeaderSize: options.maxHeaderSize,
  };
  const certificates = readCertificates('protocol.xmlrpc', options);
  const server = certificates
    ? createTlsServer({ ...limits, ...certificates, ...CLIENT_CERTIFICATES, handshakeTimeout: headersTimeout })
    : createServer(limits);
  server.maxHeadersCount = 100;
  return server;
}

/** Who shows none comes in by password alone; who shows one that no one known has signed is refused (`createRegister`). */
const CLIENT_CERTIFICATES = { requestCert: true, rejectUnauthorized: false } as const;

/** Knows every connection from its beginning on, and which one a request came by: over TLS that is another socket with the same ends. */
function createRegister(server: Server, welcome: (client: HttpClient) => void, limits: HttpClientLimits) {
  const clients = new Map<string, HttpClient>();
  const ends = ({ remoteAddress, remotePort }: Socket): string => `${remoteAddress} ${remotePort}`;
  server.on('connection', socket => {
    // Whatever ends a connection, the client has gone.
    socket.on('error', () => {});
    const key = ends(socket);
    const client = new HttpClient(socket, limits);
    clients.set(key, client);
    void client.closed.then(() => clients.get(key) === client && clients.delete(key));
    welcome(client);
  });
  server.on('secureConnection', (socket: TLSSocket) => {
    const shown = Object.keys(socket.getPeerCertificate()).length > 0;
    if (shown && !socket.authorized) socket.destroy();
  });
  return (socket: Socket): HttpClient | undefined => clients.get(ends(socket));
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

interface Parts {
  readonly bodyLimit: number;
  readonly admit: Admission;
  /** The client has logged in; false: there are too many. */
  readonly enter: (client: HttpClient) => boolean;
  readonly answer: (body: Buffer) => Promise<Uint8Array>;
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  client: HttpClient,
  { bodyLimit, admit, enter, answer }: Parts,
): Promise<void> {
  const refusal = admit(request);
  if (refusal) {
    if (refusal.challenge !== undefined) response.setHeader('WWW-Authenticate', refusal.challenge);
    end(response, refusal.status);
    return;
  }
  if (!enter(client)) {
    response.shouldKeepAlive = false;
    end(response, 503);
    return;
  }
  const body = await readBody(request, bodyLimit);
  if (body === 'gone') return;
  if (body === 'too large') {
    end(response, 413);
    return;
  }
  client.answering(response);
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
