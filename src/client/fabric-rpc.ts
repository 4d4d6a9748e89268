import { type DecodedReply, decodeEnvelope, decodeServers } from '../wire/reply.js';
import type { Topology } from '../wire/topology.js';
import { decodeReply, encodeCall, XmlRpcFault, type XmlRpcValue } from '../wire/xmlrpc.js';
import { FabricError } from './errors.js';
import type { FabricNode } from './fabric-nodes.js';
import { HttpRefusal, mayBeDone, RpcEndpoint } from './rpc-endpoint.js';

/**
 * What a call does. A `look` may be repeated as one likes; a `report` tells each node at most once; a `change` is sent to no other node, nor again,
 * once it may have arrived.
 */
export type CallKind = 'look' | 'report' | 'change';

/** Typed calls to the Fabric nodes. The node that answered last is asked first; when it fails, the next one is. */
export class FabricRpc {
  readonly #endpoints: readonly RpcEndpoint[];
  readonly #timeout: number;
  #current = 0;

  /**
   * @param timeout ms for one call to one node.
   * @param limit bytes that an answer may have; enough for a client's questions if not given.
   */
  constructor(nodes: readonly FabricNode[], timeout: number, limit?: number) {
    this.#endpoints = nodes.map(node => new RpcEndpoint(node, limit));
    this.#timeout = timeout;
  }

  /** The servers of exactly this group (the node's own pattern would also match parts of names). FAULTY ones are not among them. */
  async topology(group: string): Promise<Topology> {
    return this.#ask('dump.servers', [0, group], 'look', reply => {
      const servers = decodeServers(accepted(reply)).filter(server => server.group === group);
      return Object.freeze({ group, servers, fabricUuid: reply.fabricUuid, ttl: reply.ttl });
    });
  }

  /** A hint to look at the server now. @param reporter at most 64 characters of it are kept. */
  async reportError(server: string, reporter: string, error: string): Promise<void> {
    await this.#ask('threat.report_error', [server, reporter.slice(0, 64), error], 'report', accepted);
  }

  /**
   * The reply, also when the command was refused: that is in `error`.
   * @throws FabricError `FABRIC_COMMAND_FAILED` for a command that the node does not have, `FABRIC_UNREACHABLE` when no node gave an answer; its
   * cause is the last node's.
   */
  ask(method: string, params: readonly XmlRpcValue[], kind: CallKind): Promise<DecodedReply> {
    return this.#ask(method, params, kind, reply => reply);
  }

  /** The node that answered last, or is asked first, `host:port`. */
  get node(): string {
    return (this.#endpoints[this.#current] as RpcEndpoint).name;
  }

  /** Ends every connection; calls under way fail. */
  close(): void {
    for (const endpoint of this.#endpoints) endpoint.close();
  }

  /** @param read makes of a reply what is wanted; when it throws, the node's answer is as good as none, unless it throws a FabricError. */
  async #ask<T>(
    method: string,
    params: readonly XmlRpcValue[],
    kind: CallKind,
    read: (reply: DecodedReply) => T,
  ): Promise<T> {
    const message = encodeCall(method, params);
    const delivery = kind === 'look' ? 'repeatable' : 'once';
    const failures: Failure[] = [];
    const first = this.#current; // another call may change it meanwhile
    for (let tried = 0; tried < this.#endpoints.length; tried++) {
      const index = (first + tried) % this.#endpoints.length;
      const endpoint = this.#endpoints[index] as RpcEndpoint;
      try {
        const reply = decodeEnvelope(decodeReply(await endpoint.post(message, this.#timeout, delivery)));
        const wanted = read(reply);
        this.#current = index;
        return wanted;
      } catch (error) {
        if (error instanceof FabricError) throw error;
        if (error instanceof XmlRpcFault)
          throw new FabricError('FABRIC_COMMAND_FAILED', error.message, { cause: error });
        failures.push({ node: endpoint.name, error });
        if (kind === 'change' && mayBeDone(error)) break;
      }
    }
    throw unanswered(method, failures);
  }
}

interface Failure {
  readonly node: string;
  readonly error: unknown;
}

function unanswered(method: string, failures: readonly Failure[]): FabricError {
  const reasons = failures.map(({ node, error }) => `${node}: ${reason(error)}`).join('; ');
  const refused = failures.every(({ error }) => error instanceof HttpRefusal && error.isOfNode);
  const words = refused ? `The Fabric node refused ${method}` : `No Fabric node answered ${method}`;
  return new FabricError('FABRIC_UNREACHABLE', `${words}: ${reasons}`, { cause: failures.at(-1)?.error });
}

/** @throws FabricError when the node refused the command. */
function accepted(reply: DecodedReply): DecodedReply {
  if (reply.error !== '') throw new FabricError('FABRIC_COMMAND_FAILED', reply.error);
  return reply;
}

function reason(error: unknown): string {
  if (error instanceof HttpRefusal || !(error instanceof Error))
    return error instanceof Error ? error.message : String(error);
  return error.message || (error as NodeJS.ErrnoException).code || error.name;
}
