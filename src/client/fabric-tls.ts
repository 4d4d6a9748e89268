import { readFileSync } from 'node:fs';
import { type ConnectionOptions, createSecureContext } from 'node:tls';
import { badInput } from './errors.js';

/** How the connection to a Fabric node is encrypted, from Connector/Python's three options. */

/** As they were given. */
export type FabricTlsOptions = Readonly<Partial<Record<'https' | 'sslCa' | 'sslCert' | 'sslKey', unknown>>>;

export type FabricTls = Pick<ConnectionOptions, 'ca' | 'cert' | 'key' | 'checkServerIdentity'>;

/** null: not at all. @throws TypeError, RangeError (FABRIC_BAD_OPTION) naming `fabric`. */
export function parseTls({ https, sslCa, sslCert, sslKey }: FabricTlsOptions): FabricTls | null {
  if (https !== undefined && typeof https !== 'boolean') throw bad(TypeError, 'https must be true or false');
  const wanted = [sslCa, sslCert, sslKey].some(given => given !== undefined);
  if (!wanted) return https ? {} : null;
  if (https === false) throw bad(TypeError, 'https: false and sslCa, sslCert or sslKey exclude each other');
  if ((sslCert === undefined) !== (sslKey === undefined)) throw bad(TypeError, 'sslCert and sslKey belong together');
  const tls = {
    ...(sslCa !== undefined && { ca: pem('sslCa', sslCa) }),
    ...(sslCert !== undefined && { cert: pem('sslCert', sslCert), key: pem('sslKey', sslKey) }),
  };
  try {
    createSecureContext(tls);
  } catch (cause) {
    throw bad(RangeError, `sslCa, sslCert and sslKey must be PEM, and of one another (${(cause as Error).message})`);
  }
  return tls;
}

function pem(name: string, given: unknown): string {
  if (typeof given !== 'string' || given === '') throw bad(TypeError, `${name} must be the name of a file, or PEM`);
  if (given.includes('-----BEGIN ')) return given;
  try {
    return readFileSync(given, 'utf8');
  } catch (cause) {
    throw bad(RangeError, `${name}: the file cannot be read (${(cause as NodeJS.ErrnoException).code})`);
  }
}

function bad(kind: typeof TypeError | typeof RangeError, expected: string): Error {
  return badInput(kind, 'FABRIC_BAD_OPTION', 'fabric', expected);
}
