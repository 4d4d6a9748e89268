import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { DigestGuard, ha1 } from '../../src/wire/digest.js';
import { type Column, encodeEnvelope, type Reply } from '../../src/wire/reply.js';
import { FABRIC_UUID, type Server } from '../../src/wire/topology.js';
import { decodeCall, encodeReply, type XmlRpcValue } from '../../src/wire/xmlrpc.js';

/** A Fabric node that does what a test says, over real HTTP. */

export interface Call {
  readonly method: string;
  readonly params: readonly XmlRpcValue[];
}

export interface ScriptedNode {
  readonly port: number;
  /** Every call that was authorized (or needed no authorization). */
  readonly calls: Call[];
  /** HTTP requests, calls or not. */
  requests: number;
  readonly sockets: Set<Socket>;
  /** What `dump.servers` answers with. */
  servers: readonly Server[];
  ttl: number;
  /** Answers in place of the node when it returns true. */
  script: (request: IncomingMessage, response: ServerResponse, call: Call) => boolean;
  /** Asks for this account when set. */
  account: { user: string; password: string } | undefined;
  close(): Promise<void>;
}

const COLUMNS: readonly Column[] = [
  { name: 'server_uuid', type: 'string' },
  { name: 'group_id', type: 'string' },
  { name: 'host', type: 'string' },
  { name: 'port', type: 'int' },
  { name: 'mode', type: 'int' },
  { name: 'status', type: 'int' },
  { name: 'weight', type: 'double' },
];

export function replyBody(reply: Partial<Reply> = {}): string {
  return encodeReply(encodeEnvelope({ fabricUuid: FABRIC_UUID, ttl: 1, error: '', resultSets: [], ...reply }));
}

export function serversBody(servers: readonly Server[], ttl = 1): string {
  const rows = servers.map(({ uuid, group, host, port, mode, status, weight }) => {
    return [uuid, group, host, port, mode, status, weight];
  });
  return replyBody({ ttl, resultSets: [{ columns: COLUMNS, rows }] });
}

export function aServer(port: number, change: Partial<Server> = {}): Server {
  const place = { uuid: `server-${port}`, group: 'g', host: '127.0.0.1', port };
  return { ...place, mode: 3, status: 3, weight: 1, ...change };
}

export async function startScriptedNode(port = 0): Promise<ScriptedNode> {
  const guard = new DigestGuard({
    passwordHash: user => (node.account?.user === user ? ha1(user, node.account.password) : undefined),
  });
  const http = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      node.requests += 1;
      if (node.account !== undefined) {
        const verdict = guard.verify(request.headers.authorization, 'POST', request.url ?? '');
        if (verdict.outcome === 'refused') return response.writeHead(400).end();
        if (verdict.outcome === 'challenge') {
          return response.writeHead(401, { 'www-authenticate': guard.challenge({ stale: verdict.stale }) }).end();
        }
      }
      const call = decodeCall(Buffer.concat(chunks));
      node.calls.push(call);
      if (node.script(request, response, call)) return;
      response.end(call.method === 'dump.servers' ? serversBody(node.servers, node.ttl) : replyBody());
    });
  });
  http.on('connection', socket => {
    node.sockets.add(socket);
    socket.on('close', () => node.sockets.delete(socket));
  });
  await new Promise<void>(resolve => http.listen(port, '127.0.0.1', resolve));
  const node: ScriptedNode = {
    port: (http.address() as AddressInfo).port,
    calls: [],
    requests: 0,
    sockets: new Set(),
    servers: [],
    ttl: 1,
    script: () => false,
    account: undefined,
    async close() {
      http.closeAllConnections();
      await new Promise(resolve => http.close(resolve));
    },
  };
  return node;
}
