/** XML-RPC messages <-> values, over the `xmlrpc` package's serializer and deserializer. All functions are synchronous. */
import CustomType from 'xmlrpc/lib/customtype.js';
import type { Source } from 'xmlrpc/lib/deserializer.js';
import serializer from 'xmlrpc/lib/serializer.js';
import { MAX_DEPTH, refuseDeclarations, StrictDeserializer } from './strict-deserializer.js';
import { isLegalText, legalText } from './xml-text.js';

/**
 * What a message can carry. A number is sent as `<int>` when it is an integer of 32 bits, otherwise as `<double>` (an
 * `<int>` has 32 bits by definition, and the original's clients refuse more); a `Double` is always a `<double>`.
 * Decoding gives plain numbers for both, and objects without a prototype for structs.
 */
export type XmlRpcValue =
  | null
  | boolean
  | number
  | string
  | Double
  | readonly XmlRpcValue[]
  | { readonly [name: string]: XmlRpcValue };

/** A number that is a `<double>` on the wire even if it is whole: weights and times, which connectors cast. */
export class Double {
  readonly value: number;

  constructor(value: number) {
    this.value = value;
  }
}

/** A message that is no XML-RPC, or a value that XML-RPC cannot carry. */
export class XmlRpcError extends Error {
  override readonly name = 'XmlRpcError';
  readonly code = 'FABRIC_BAD_MESSAGE';
}

/** The other side answered with a fault. */
export class XmlRpcFault extends Error {
  override readonly name = 'XmlRpcFault';
  readonly code: number;
  /** The fault's own words. */
  readonly text: string;

  constructor(code: number, text: string) {
    super(`XML-RPC fault ${code}: ${text}`);
    this.code = code;
    this.text = text;
  }
}

/**
 * A `methodCall`. Throws XmlRpcError for what the message cannot carry: NaN, infinities, characters that XML forbids
 * (they are refused rather than dropped, so that no two names become one), and more than 32 levels of nesting.
 */
export function encodeCall(method: string, params: readonly XmlRpcValue[]): string {
  if (method === '') throw new XmlRpcError('A call needs a method name');
  return serializer.serializeMethodCall(
    checkedText(method),
    params.map(param => toSerializable(param, 0)),
  );
}

/** A `methodResponse` with one value. Throws as `encodeCall` does. */
export function encodeReply(value: XmlRpcValue): string {
  return serializer.serializeMethodResponse(toSerializable(value, 0));
}

/** A `methodResponse` with a fault. Characters that XML forbids become U+FFFD: a fault must reach its reader. */
export function encodeFault(code: number, text: string): string {
  return serializer.serializeFault(toSerializable({ faultCode: code, faultString: legalText(text) }, 0));
}

/** The method and parameters of a `methodCall`. Throws XmlRpcError. The length of the message is the caller's to bound. */
export function decodeCall(xml: string | Uint8Array): { method: string; params: XmlRpcValue[] } {
  let call: { method: string; params: XmlRpcValue[] } | undefined;
  parse(xml, (deserializer, source) =>
    deserializer.deserializeMethodCall(source, (error, method = '', params = []) => {
      if (error) throw error;
      call = { method, params: params as XmlRpcValue[] };
    }),
  );
  if (!call) throw malformed('it ended without a result');
  return call;
}

/** The value of a `methodResponse`. Throws XmlRpcFault for a fault and XmlRpcError for what is no XML-RPC. */
export function decodeReply(xml: string | Uint8Array): XmlRpcValue {
  let reply: XmlRpcValue | undefined;
  parse(xml, (deserializer, source) =>
    deserializer.deserializeMethodResponse(source, (error, value) => {
      if (error) throw toFault(error);
      reply = value as XmlRpcValue | undefined;
    }),
  );
  if (reply === undefined) throw malformed('a response needs a value');
  return reply;
}

/**
 * Runs the deserializer to its end, inside this call: the "stream" hands the whole text over as soon as it is piped, and
 * whatever is wrong is thrown from within the parser.
 */
function parse(xml: string | Uint8Array, run: (deserializer: StrictDeserializer, source: Source) => void): void {
  try {
    const text = textOf(xml);
    refuseDeclarations(text);
    run(new StrictDeserializer(), sourceOf(text));
  } catch (error) {
    if (error instanceof XmlRpcFault) throw error;
    throw malformed(error instanceof Error ? error.message : String(error), error);
  }
}

function sourceOf(text: string): Source {
  return {
    setEncoding() {},
    on() {},
    pipe(parser) {
      parser.write(text);
      parser.end();
    },
  };
}

/** XML's line ends are normalised here because the parser underneath does not; a meant CR comes as `&#xD;`. */
function textOf(xml: string | Uint8Array): string {
  const text = typeof xml === 'string' ? xml : new TextDecoder('utf-8', { fatal: true }).decode(xml);
  return text.includes('\r') ? text.replace(/\r\n?/g, '\n') : text;
}

function malformed(reason: string, cause?: unknown): XmlRpcError {
  const firstLine = reason.split('\n', 1)[0] ?? '';
  return new XmlRpcError(`Not a valid XML-RPC message: ${firstLine.slice(0, 200)}`, { cause });
}

/** The package hands faults over as errors; its own complaints have no `faultCode`. */
function toFault(error: Error & { faultCode?: unknown; faultString?: unknown }): Error {
  if (!('faultCode' in error)) return error;
  const { faultCode, faultString } = error;
  if (typeof faultCode !== 'number' || typeof faultString !== 'string') {
    return malformed('a fault needs an integer faultCode and a faultString');
  }
  return new XmlRpcFault(faultCode, faultString);
}

class Scalar extends CustomType {
  constructor(tagName: 'double' | 'string', text: string) {
    super(text);
    this.tagName = tagName;
  }
}

/**
 * The value in the serializer's terms. Strings go the way of its custom types: its own writes a CDATA section, and with
 * two `]]>` in the text not even a well-formed one. Integers and booleans stay its own.
 */
function toSerializable(value: XmlRpcValue, depth: number): unknown {
  if (typeof value === 'string') return new Scalar('string', checkedText(value));
  if (typeof value === 'number') return toNumber(value);
  if (value === null || typeof value === 'boolean') return value;
  if (value instanceof Double) return new Scalar('double', doubleText(value.value));
  if (depth >= MAX_DEPTH) throw new XmlRpcError(`A value is nested more than ${MAX_DEPTH} deep`);
  // Not `map`, which would leave the holes of a sparse array in place.
  if (Array.isArray(value)) return Array.from(value, item => toSerializable(item, depth + 1));
  return toStruct(value as Record<string, XmlRpcValue>, depth);
}

function toStruct(value: Record<string, XmlRpcValue>, depth: number): Record<string, unknown> {
  const prototype = typeof value === 'object' ? Object.getPrototypeOf(value) : undefined;
  if (prototype !== null && prototype !== Object.prototype) {
    throw new XmlRpcError(`XML-RPC cannot carry ${Object.prototype.toString.call(value)}`);
  }
  const struct: Record<string, unknown> = Object.create(null);
  for (const [name, member] of Object.entries(value)) struct[checkedText(name)] = toSerializable(member, depth + 1);
  return struct;
}

function toNumber(value: number): number | Scalar {
  // `| 0` keeps exactly the integers of 32 bits (and -0, which an <int> writes as 0).
  return (value | 0) === value ? value : new Scalar('double', doubleText(value));
}

function doubleText(value: number): string {
  if (!Number.isFinite(value)) throw new XmlRpcError(`XML-RPC cannot carry the number ${value}`);
  if (!Number.isInteger(value) || Math.abs(value) >= 1e21) return String(value);
  return Object.is(value, -0) ? '-0.0' : value.toFixed(1);
}

function checkedText(text: string): string {
  if (!isLegalText(text))
    throw new XmlRpcError(`XML cannot carry a character of ${JSON.stringify(text.slice(0, 100))}`);
  return text;
}
