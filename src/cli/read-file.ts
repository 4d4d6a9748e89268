import { readFileSync } from 'node:fs';
import { CliError } from './failure.js';

/** @param what it is, for the error. @throws CliError */
export function readFile(path: string, what: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    const { code = String(cause) } = cause as NodeJS.ErrnoException;
    throw new CliError(`${what} cannot be read (${code}).`, 'Check its name and permissions.', { cause });
  }
}
