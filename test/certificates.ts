import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';

/** Certificates for a test's servers and clients, made when they are needed: X.509 in DER, written by hand. */

export interface Certified {
  /** PEM. */
  readonly cert: string;
  readonly key: string;
  readonly name: string;
  readonly privateKey: KeyObject;
}

interface Wanted {
  /** Who signs it; not given: itself. */
  readonly issuer?: Certified;
  readonly authority?: boolean;
  /** IPv4 addresses that it is good for. */
  readonly addresses?: readonly string[];
}

/** Good for an hour. */
export function certify(name: string, { issuer, authority = false, addresses = [] }: Wanted = {}): Certified {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const signedWith = sequence(oid('1.2.840.10045.4.3.2'));
  const now = Date.now();
  const extensions = [
    sequence(oid('2.5.29.19'), tlv(0x04, sequence(...(authority ? [tlv(0x01, Buffer.from([0xff]))] : [])))),
    ...(addresses.length === 0 ? [] : [sequence(oid('2.5.29.17'), tlv(0x04, sequence(...addresses.map(address))))]),
  ];
  const body = sequence(
    tlv(0xa0, integer(Buffer.from([2]))),
    integer(Buffer.concat([Buffer.from([1]), randomBytes(15)])),
    signedWith,
    nameOf(issuer?.name ?? name),
    sequence(time(now - 60_000), time(now + 3_600_000)),
    nameOf(name),
    publicKey.export({ type: 'spki', format: 'der' }),
    tlv(0xa3, sequence(...extensions)),
  );
  const signature = sign('sha256', body, issuer?.privateKey ?? privateKey);
  const der = sequence(body, signedWith, tlv(0x03, Buffer.concat([Buffer.alloc(1), signature])));
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    name,
    privateKey,
  };
}

function tlv(tag: number, content: Buffer): Buffer {
  const { length } = content;
  const head =
    length < 0x80 ? [tag, length] : length < 0x100 ? [tag, 0x81, length] : [tag, 0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from(head), content]);
}

const sequence = (...parts: readonly Buffer[]): Buffer => tlv(0x30, Buffer.concat(parts));
const integer = (bytes: Buffer): Buffer => tlv(0x02, bytes);
const address = (text: string): Buffer => tlv(0x87, Buffer.from(text.split('.').map(Number)));
const nameOf = (name: string): Buffer => sequence(tlv(0x31, sequence(oid('2.5.4.3'), tlv(0x0c, Buffer.from(name)))));
/** `20261122000000Z` */
const time = (ms: number): Buffer => tlv(0x18, Buffer.from(new Date(ms).toISOString().replace(/[-:T]|\.\d+/g, '')));

function oid(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split('.').map(Number);
  const base128 = (value: number): number[] => {
    const digits = [value & 0x7f];
    for (let left = value >>> 7; left > 0; left >>>= 7) digits.unshift(0x80 | (left & 0x7f));
    return digits;
  };
  return tlv(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]));
}
