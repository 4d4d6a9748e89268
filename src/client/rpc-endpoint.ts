import { Agent, type IncomingMessage, request } from 'node:http';
import { Agent as TlsAgent, request as tlsRequest } from 'node:https';
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
  readonly #agent: Agent;
  readonly #limit: number;
  #challenge: Challenge | null = null;
  #uses = 0;
  #closed = false;

  /** @param limit bytes that an answer may have. */
  constructor(node: FabricNode, limit = CLIENTS_LIMIT) {
    this.#node = node;
    this.#limit = limit;
    const sockets = { keepAlive: true, maxSockets: 8 };
    this.#agent = node.tls ? new TlsAgent({ ...sockets, ...node.tls }) : new Agent(sockets);
    this.name = node.host.includes(':') ? `[${node.host}]:${node.port}` : `${node.host}:${node.port}`;
  }

  /**
   * Posts one message and resolves to the answer's body.
   * @param timeout ms for everything, the authentication's first round trip included.
   * @throws HttpRefusal for any status but 200; Node's error when the node cannot be reached; `ETIMEDOUT` after `timeout`.
   */
  async post(message: string, timeout: number): Promise<string> {
    const deadline = performance.now() + timeout;
    let reply = await this.#send(message, this.#authorization(), deadline);
    if (reply.status === 401 && reply.challenge !== null && this.#node.user !== undefined) {
      this.#challenge = reply.challenge;
      this.#uses = 0;
      reply = await this.#send(message, this.#authorization(), deadline);
    }
    if (!reply.reusesNonces || reply.status !== 200) this.#challenge = null;
    if (reply.status === 200) return reply.body;
    throw new HttpRefusal(reply.status, refusalText(reply.status, this.#node.user));
  }

  close(): void {
    this.#closed = true;
    this.#agent.destroy();
  }

  #authorization(): string | undefined {
    const { user, password } = this.#node;
    if (this.#challenge === null || user === undefined) return undefined;
    return answer(this.#challenge, { user, password: password ?? '', nc: ++this.#uses });
  }

  /** A kept connection may be closed by the node just as we use it; then, and only then, the message is sent once more. */
  async #send(message: string, authorization: string | undefined, deadline: number): Promise<Answer> {
    const first = this.#exchange(message, authorization, deadline);
    try {
      return await first.answer;
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (this.#closed || !first.onKeptSocket() || (code !== 'ECONNRESET' && code !== 'EPIPE')) throw error;
      return this.#exchange(message, this.#authorization(), deadline).answer;
    }
  }

  #exchange(message: string, authorization: string | undefined, deadline: number) {
    const body = Buffer.from(message);
    const outgoing = (this.#node.tls ? tlsRequest : request)({
      host: this.#node.host,
      port: this.#node.port,
      path: '/RPC2',
      method: 'POST',
      agent: this.#agent,
      headers: {
        'content-type': 'text/xml',
        'content-length': body.length,
        ...(authorization === undefined ? {} : { authorization }),
      },
    });
    const answered = new Promise<Answer>((resolve, reject) => {
      const left = Math.max(1, deadline - performance.now());
      const timer = setTimeout(() => outgoing.destroy(timeoutError(this.name)), left);
      outgoing.on('error', reject);
      outgoing.on('close', () => clearTimeout(timer));
      outgoing.on('response', response => readAnswer(response, this.#limit).then(resolve, reject));
      outgoing.end(body);
    });
    return { answer: answered, onKeptSocket: () => outgoing.reusedSocket };
  }
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
