import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { createAccounts } from '../accounts.js';
import type { CommandContext } from '../commands/define.js';
import { XMLRPC_PORT, type XmlRpcOptions } from '../option-table.js';
import { HttpClient, type HttpClientLimits } from './http-client.js';
import { createClients, type Endpoint, listen } from './listener.js';
import { readCertificates } from './tls.js';
import { createWrongPasswords, type WrongPasswords } from './wrong-passwords.js';
import { createAdmission } from './xmlrpc-admission.js';
import { createAnswerer } from './xmlrpc-answers.js';

/** The XML-RPC endpoint: HTTP, and how much and how slowly clients may send. Who may come in is `xmlrpc-admission.ts`'s, what is answered `xmlrpc-answers.ts`'s. */

/** Takes the port, and lets nobody in before it is opened; rejects with Node's error when it cannot (EADDRINUSE ...). */
export async function startXmlRpc(options: XmlRpcOptions, context: CommandContext): Promise<Endpoint> {
  const { log } = context;
  const clients = createClients<HttpClient>(options.maxConnections);
  const wrongPasswords = createWrongPasswords();
  const parts: Parts = {
    bodyLimit: options.maxRequestSize,
    admit: createAdmission(options, createAccounts('xmlrpc', options, context.store), wrongPasswords),
    wrongPasswords,
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
  // An expectation that nobody knows is none; Node's own answer would pass by the limits.
  server.on('checkExpectation', (request, response) => server.emit('request', request, response));
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
  const asked = options.sslCa === '' ? {} : CLIENT_CERTIFICATES;
  const server = certificates
    ? createTlsServer({ ...limits, ...certificates, ...asked, handshakeTimeout: headersTimeout })
    : createServer(limits);
  server.maxHeadersCount = 100;
  return server;
}

/** Where an authority is named. Who shows none comes in by password alone; who shows one that no one known has signed is refused (`createRegister`). */
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

interface Parts {
  readonly bodyLimit: number;
  readonly admit: ReturnType<typeof createAdmission>;
  readonly wrongPasswords: WrongPasswords;
  /** The client has logged in; false: there are too many. */
  readonly enter: (client: HttpClient) => boolean;
  readonly answer: ReturnType<typeof createAnswerer>;
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  client: HttpClient,
  { bodyLimit, admit, wrongPasswords, enter, answer }: Parts,
): Promise<void> {
  const caller = admit(request);
  if ('status' in caller) {
    const { status, challenge, hold = 0 } = caller;
    if (hold > 0) await wrongPasswords.hold(hold, client.closed);
    if (challenge !== undefined) response.setHeader('WWW-Authenticate', challenge);
    end(response, status);
    return;
  }
  if (!enter(client)) {
    response.shouldKeepAlive = false;
    end(response, 503);
    return;
  }
  const body = await readBody(request, bodyLimit);
  if (body === 'gone') return;
  if (body === 'too large') return end(response, 413);
  client.answering(response);
  const bytes = await answer(body, caller);
  if (bytes === 'forbidden') return end(response, 403);
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
