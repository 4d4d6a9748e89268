import { Agent, type ClientRequest, type IncomingMessage, request } from 'node:http';
import { Agent as TlsAgent, request as tlsRequest } from 'node:https';
import type { Socket } from 'node:net';
import { answer, type Challenge, parseChallenge } from '../wire/digest.js';
import type { FabricNode } from './fabric-nodes.js';

/** One Fabric node's XML-RPC endpoint over HTTP or HTTPS: keep-alive, digest authentication, a deadline and a size limit for every call. */

/** A group's topology is a few hundred bytes; more than this is no answer to a client's questions. */
const CLIENTS_LIMIT = 1024 * 1024;

/** The node answered, but not with a reply: wrong account, no permission, not a Fabric node. */
export class HttpRefusal extends Error {
  override readonly name = 'HttpRefusal';
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }

  /** Whether a Fabric node may say this; others, a gateway before it among them, have other words. */
  get isOfNode(): boolean {
    return [400, 401, 403, 413, 500, 503].includes(this.status);
  }
}

/** How often the node may be given a message. What changes something goes there at most once. */
export type Delivery = 'once' | 'repeatable';

/** Whether the node may have carried out what a failed `post` was to bring it. */
export function mayBeDone(error: unknown): boolean {
  if (error instanceof HttpRefusal) return error.status < 400 || (error.status >= 500 && error.status !== 503);
  return (error as { unsent?: true }).unsent !== true;
}

interface Answer {
  readonly status: number;
  readonly body: string;
  readonly challenge: Challenge | null;
  /** A node of our own kind: its nonces may be used again, so that a call costs one request. The original's must not (it drops the request). */
  readonly reusesNonces: boolean;
}

export class RpcEndpoint {
  readonly name: string;
  readonly #node: FabricNode;
  readonly #agents: Readonly<Record<Delivery, Agent>>;
  readonly #limit: number;
  #challenge: Challenge | null = null;
  #uses = 0;
  #closed = false;

  /** @param limit bytes that an answer may have. */
  constructor(node: FabricNode, limit = CLIENTS_LIMIT) {
    this.#node = node;
    this.#limit = limit;
    const agent = (keepAlive: boolean) =>
      node.tls ? new TlsAgent({ keepAlive, maxSockets: 8, ...node.tls }) : new Agent({ keepAlive, maxSockets: 8 });
    // On a kept connection that breaks nobody knows whether the node had closed it before: what goes once has its own.
    this.#agents = { repeatable: agent(true), once: agent(false) };
    this.name = node.host.includes(':') ? `[${node.host}]:${node.port}` : `${node.host}:${node.port}`;
  }

  /**
   * Posts one message and resolves to the answer's body.
   * @param timeout ms for everything, the authentication's first round trip included.
   * @throws HttpRefusal for any status but 200; Node's error when the node cannot be reached; `ETIMEDOUT` after `timeout`. `mayBeDone` tells more.
   */
  async post(message: string, timeout: number, delivery: Delivery): Promise<string> {
    const deadline = performance.now() + timeout;
    let reply = await this.#send(message, delivery, deadline);
    if (reply.status === 401 && reply.challenge !== null && this.#node.user !== undefined) {
      this.#challenge = reply.challenge;
      this.#uses = 0;
      reply = await this.#send(message, delivery, deadline);
    }
    if (!reply.reusesNonces || reply.status !== 200) this.#challenge = null;
    if (reply.status === 200) return reply.body;
    throw new HttpRefusal(reply.status, refusalText(reply.status, this.#node.user));
  }

  close(): void {
    this.#closed = true;
    for (const agent of Object.values(this.#agents)) agent.destroy();
  }

  #authorization(): string | undefined {
    const { user, password } = this.#node;
    if (this.#challenge === null || user === undefined) return undefined;
    return answer(this.#challenge, { user, password: password ?? '', nc: ++this.#uses });
  }

  /** A kept connection may be closed by the node just as we use it; then, and only then, a message that is repeatable is sent once more. */
  async #send(message: string, delivery: Delivery, deadline: number): Promise<Answer> {
    const first = this.#exchange(message, delivery, deadline);
    try {
      return await first.answer;
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      const wasKept = delivery === 'repeatable' && first.onKeptSocket();
      if (this.#closed || !wasKept || (code !== 'ECONNRESET' && code !== 'EPIPE')) throw error;
      return this.#exchange(message, delivery, deadline).answer;
    }
  }

  #exchange(message: string, delivery: Delivery, deadline: number) {
    const authorization = this.#authorization();
    const body = Buffer.from(message);
    const outgoing = (this.#node.tls ? tlsRequest : request)({
      host: this.#node.host,
      port: this.#node.port,
      path: '/RPC2',
      method: 'POST',
      agent: this.#agents[delivery],
      headers: {
        'content-type': 'text/xml',
        'content-length': body.length,
        ...(authorization === undefined ? {} : { authorization }),
      },
    });
    const isSent = watchSending(outgoing);
    const answered = new Promise<Answer>((resolve, reject) => {
      const left = Math.max(1, deadline - performance.now());
      const timer = setTimeout(() => outgoing.destroy(timeoutError(this.name)), left);
      outgoing.on('error', error => reject(isSent() ? error : Object.assign(error, { unsent: true })));
      outgoing.on('close', () => clearTimeout(timer));
      outgoing.on('response', response => readAnswer(response, this.#limit).then(resolve, reject));
      outgoing.end(body);
    });
    return { answer: answered, onKeptSocket: () => outgoing.reusedSocket };
  }
}

/** Tells whether some of the request may be on its way: from when there is a connection, over TLS one that is trusted. */
function watchSending(outgoing: ClientRequest): () => boolean {
  let sent = false;
  outgoing.once('socket', (socket: Socket & { readonly encrypted?: boolean; readonly secureConnecting?: boolean }) => {
    sent = !socket.connecting && socket.secureConnecting !== true;
    // Not on a kept socket, which would gather listeners for as long as it lives.
    if (sent) return;
    socket.once(socket.encrypted ? 'secureConnect' : 'connect', () => {
      sent = true;
    });
  });
  return () => sent;
}

async function readAnswer(response: IncomingMessage, limit: number): Promise<Answer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > limit) {
      response.destroy();
      throw new HttpRefusal(response.statusCode ?? 0, `the answer is larger than ${limit} bytes`);
    }
    chunks.push(chunk);
  }
  return {
    status: response.statusCode ?? 0,
    body: Buffer.concat(chunks).toString('utf8'),
    challenge: parseChallenge(response.headers['www-authenticate'] ?? ''),
    reusesNonces: response.httpVersion === '1.1',
  };
}

/** The original answers a wrong password with 400, ours too. */
function refusalText(status: number, user: string | undefined): string {
  if (user === undefined && status === 401) return 'it asks for a user and password (HTTP 401)';
  if (status === 400 || status === 401) return `it refused user '${user}' or the password (HTTP ${status})`;
  if (status === 403) return `user '${user}' has no permission for the command (HTTP 403)`;
  return `it answered with HTTP ${status}`;
}

function timeoutError(node: string): Error {
  return Object.assign(new Error(`no answer from ${node} in time`), { code: 'ETIMEDOUT' });
}
