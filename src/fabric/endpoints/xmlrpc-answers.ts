import { LRUCache } from 'lru-cache';
import { encodeEnvelope } from '../../wire/reply.js';
import { FABRIC_UUID } from '../../wire/topology.js';
import { decodeCall, encodeFault, encodeReply, type XmlRpcValue } from '../../wire/xmlrpc.js';
import { type CommandContext, type CommandReply, commandFor, dispatch, notSupported } from '../commands/define.js';
import type { Caller } from '../roles.js';
import { introspect } from './xmlrpc-introspection.js';

/** From the bytes of a call to the bytes of its answer. What was asked and answered before is remembered while nothing has changed. */

interface Call {
  readonly method: string;
  readonly params: readonly XmlRpcValue[];
  /** The same for every call with this method and these parameters; null: too long to be remembered. */
  readonly key: string | null;
}

/** Connectors send the same few bytes again and again; longer bodies are decoded, and their calls carried out, each time. */
const REMEMBERED_BODY = 1_024;
const REMEMBERED_CALLS = 500;
const REMEMBERED_BYTES = 16 * 1024 * 1024;

/** Never rejects: what is no call is answered with a fault. `forbidden`: this caller may not call this. */
export function createAnswerer(
  context: CommandContext,
): (body: Buffer, caller: Caller) => Promise<Uint8Array | 'forbidden'> {
  const decode = createDecoder(context);
  const answered = new LRUCache<string, { readonly revision: number; readonly bytes: Uint8Array }>({
    max: REMEMBERED_CALLS,
    maxSize: REMEMBERED_BYTES,
    maxEntrySize: REMEMBERED_BYTES / 4,
    sizeCalculation: ({ bytes }, key) => bytes.byteLength + 2 * key.length,
  });

  return async (body, caller) => {
    const call = decode(body);
    if (typeof call === 'string') return fault(call);
    const told = introspect(call, context, caller);
    if (told) return 'problem' in told ? fault(told.problem) : Buffer.from(encodeReply(told.value));
    const command = commandFor(context, caller, call.method);
    if (command === 'unknown') return fault(notSupported(call.method));
    if (command === 'forbidden') return command;
    // Read before the command reads: a change in between makes the kept answer an old one.
    const { revision } = context.store;
    const key = command.cacheable ? call.key : null;
    const kept = key === null ? undefined : answered.get(key);
    if (kept?.revision === revision) {
      context.statistics.called(call.method);
      return kept.bytes;
    }
    const reply = await dispatch(context, caller, call.method, call.params);
    const bytes = encode(reply, call.method, context);
    if (key !== null && reply.error === '') answered.set(key, { revision, bytes });
    return bytes;
  };
}

/** A fault as the original sends it: code 1 with a sentence. */
function fault(text: string): Uint8Array {
  return Buffer.from(encodeFault(1, text));
}

function createDecoder({ commands }: CommandContext): (body: Buffer) => Call | string {
  const decoded = new LRUCache<string, Call>({ max: REMEMBERED_CALLS });
  return body => {
    // latin1 keeps every byte apart, so equal keys are equal bodies.
    const bodyKey = body.length <= REMEMBERED_BODY ? body.toString('latin1') : null;
    const known = bodyKey === null ? undefined : decoded.get(bodyKey);
    if (known) return known;
    const call = decodeBody(body, bodyKey !== null);
    if (typeof call === 'string' || bodyKey === null) return call;
    const secret = commands.get(call.method)?.params.some(param => param.secret) ?? false;
    if (!secret) decoded.set(bodyKey, call);
    return call;
  };
}

/** The call, or what is wrong with it. */
function decodeBody(body: Buffer, short: boolean): Call | string {
  try {
    const { method, params } = decodeCall(body);
    return { method, params, key: short ? JSON.stringify([method, params]) : null };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function encode(reply: CommandReply, method: string, { options, log }: CommandContext): Uint8Array {
  const envelope = ({ error, resultSets }: Pick<CommandReply, 'error' | 'resultSets'>) =>
    Buffer.from(
      encodeReply(encodeEnvelope({ fabricUuid: FABRIC_UUID, ttl: options.connector.ttl, error, resultSets })),
    );
  try {
    return envelope(reply);
  } catch (error) {
    log.error(`the answer of ${method} could not be written: ${error}`);
    return envelope({ error: `The answer of ${method} could not be written.`, resultSets: [] });
  }
}
