import { type DecodedReply, decodeEnvelope, decodeServers } from '../wire/reply.js';
import type { Topology } from '../wire/topology.js';
import { decodeReply, encodeCall, XmlRpcFault, type XmlRpcValue } from '../wire/xmlrpc.js';
import { FabricError } from './errors.js';
import type { FabricNode } from './fabric-nodes.js';
import { HttpRefusal, RpcEndpoint } from './rpc-endpoint.js';

/** Typed calls to the Fabric nodes. The node that answered last is asked first; when it fails, the next one is. */
export class FabricRpc {
  readonly #endpoints: readonly RpcEndpoint[];
  readonly #timeout: number;
  #current = 0;

  /** @param timeout ms for one call to one node. */
  constructor(nodes: readonly FabricNode[], timeout: number) {
    this.#endpoints = nodes.map(node => new RpcEndpoint(node));
    this.#timeout = timeout;
  }

  /** The servers of exactly this group (the node's own pattern would also match parts of names). FAULTY ones are not among them. */
  async topology(group: string): Promise<Topology> {
    const reply = await this.call('dump.servers', [0, group]);
    const servers = decodeServers(reply).filter(server => server.group === group);
    return Object.freeze({ group, servers, fabricUuid: reply.fabricUuid, ttl: reply.ttl });
  }

  /** A hint to look at the server now. @param reporter at most 64 characters of it are kept. */
  async reportError(server: string, reporter: string, error: string): Promise<void> {
    await this.call('threat.report_error', [server, reporter.slice(0, 64), error]);
  }

  /**
   * @throws FabricError `FABRIC_COMMAND_FAILED` with the node's words when the command was refused, `FABRIC_UNREACHABLE` when no node gave an answer.
   */
  async call(method: string, params: readonly XmlRpcValue[]): Promise<DecodedReply> {
    const reply = await this.ask(method, params);
    if (reply.error !== '') throw new FabricError('FABRIC_COMMAND_FAILED', reply.error);
    return reply;
  }

  /** As `call`, but a refusal is an answer too: the reply has it in `error`. The cause of FABRIC_UNREACHABLE is the last node's. */
  async ask(method: string, params: readonly XmlRpcValue[]): Promise<DecodedReply> {
    const message = encodeCall(method, params);
    const failures: string[] = [];
    let cause: unknown;
    for (let tried = 0; tried < this.#endpoints.length; tried++) {
      const index = (this.#current + tried) % this.#endpoints.length;
      const endpoint = this.#endpoints[index] as RpcEndpoint;
      try {
        const reply = decodeEnvelope(decodeReply(await endpoint.post(message, this.#timeout)));
        this.#current = index;
        return reply;
      } catch (error) {
        if (error instanceof XmlRpcFault)
          throw new FabricError('FABRIC_COMMAND_FAILED', error.message, { cause: error });
        failures.push(`${endpoint.name}: ${reason(error)}`);
        cause = error;
      }
    }
    throw new FabricError('FABRIC_UNREACHABLE', `No Fabric node answered ${method}: ${failures.join('; ')}`, { cause });
  }

  /** Ends every connection; calls under way fail. */
  close(): void {
    for (const endpoint of this.#endpoints) endpoint.close();
  }
}

function reason(error: unknown): string {
  if (error instanceof HttpRefusal || !(error instanceof Error))
    return error instanceof Error ? error.message : String(error);
  return error.message || (error as NodeJS.ErrnoException).code || error.name;
}
