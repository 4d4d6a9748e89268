import { createHash } from 'node:crypto';
import { ha1 } from '../wire/digest.js';
import type { UserRecord } from './store/store.js';

/** The forms in which passwords are kept: what the check of each protocol needs, and no more. Pure. */

export type Protocol = UserRecord['protocol'];

export const PROTOCOLS: readonly Protocol[] = ['xmlrpc', 'mysql'];

export function hashPassword(protocol: Protocol, user: string, password: string): string {
  if (protocol === 'xmlrpc') return ha1(user, password);
  return sha1(sha1(password)).toString('hex').toUpperCase();
}

export function sha1(...parts: readonly (Uint8Array | string)[]): Buffer {
  const hash = createHash('sha1');
  for (const part of parts) hash.update(part);
  return hash.digest();
}
