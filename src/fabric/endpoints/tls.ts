import { readFileSync } from 'node:fs';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import type { EndpointOptions, XmlRpcOptions } from '../option-table.js';
import { optionError } from '../options.js';

/** The certificates of an endpoint. */

/** null: it does not encrypt. @throws OptionError that names the option. */
export function readCertificates(
  section: 'protocol.xmlrpc' | 'protocol.mysql',
  options: EndpointOptions & Partial<Pick<XmlRpcOptions, 'sslCa'>>,
): SecureContextOptions | null {
  if (options.sslCert === '') return null;
  const read = (key: 'sslCa' | 'sslCert' | 'sslKey'): Buffer | undefined =>
    options[key] ? readPem(`${section}.${key}`, options[key]) : undefined;
  const ca = read('sslCa');
  const certificates = { cert: read('sslCert'), key: read('sslKey'), ...(ca && { ca }) };
  try {
    createSecureContext(certificates);
  } catch (cause) {
    const problem = `cannot be used with sslKey and sslCa (${(cause as Error).message})`;
    throw optionError('RangeError', `${section}.sslCert`, problem);
  }
  return certificates;
}

function readPem(option: string, file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw optionError(
      'RangeError',
      option,
      `names a file that cannot be read (${(cause as NodeJS.ErrnoException).code})`,
    );
  }
}
