import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { EndpointOptions } from '../options.js';

/** `mysql_native_password`: the client proves that it knows the password without sending it. Pure. */

export const NATIVE_PASSWORD = 'mysql_native_password';

const LENGTH = 20;

/** 20 printable characters: clients read it as ASCII, and some as text that ends at the first zero. */
export function createSeed(): Buffer {
  return Buffer.from(randomBytes(LENGTH).map(byte => 0x30 + (byte & 0x3f)));
}

/** Whether a user may come in who answered the seed with this token. */
export type LoginCheck = (user: string, seed: Buffer, token: Buffer) => boolean;

/** Kept is SHA1(SHA1(password)) alone; right and wrong names and tokens take the same time. */
export function createLoginCheck({ user, password, disableAuthentication }: EndpointOptions): LoginCheck {
  const stored = sha1(sha1(password));
  const known = sha1(user);
  return (name, seed, token) => {
    if (disableAuthentication) return true;
    const mask = sha1(seed, stored);
    const stage1 = Buffer.from(mask.map((byte, index) => byte ^ (token[index] ?? 0)));
    const rightToken = timingSafeEqual(sha1(stage1), stored) && token.length === LENGTH;
    return timingSafeEqual(sha1(name), known) && rightToken;
  };
}

function sha1(...parts: readonly (Uint8Array | string)[]): Buffer {
  const hash = createHash('sha1');
  for (const part of parts) hash.update(part);
  return hash.digest();
}
