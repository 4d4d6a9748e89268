import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { Accounts } from '../accounts.js';
import type { EndpointOptions } from '../option-table.js';
import { sha1 } from '../passwords.js';

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
export function createLoginCheck({ disableAuthentication }: EndpointOptions, accounts: Accounts): LoginCheck {
  const nobody = randomBytes(LENGTH);
  return (user, seed, token) => {
    if (disableAuthentication) return true;
    const hash = accounts.passwordHash(user);
    const stored = hash === undefined ? nobody : Buffer.from(hash, 'hex');
    const mask = sha1(seed, stored);
    const stage1 = Buffer.from(mask.map((byte, index) => byte ^ (token[index] ?? 0)));
    const stage2 = sha1(stage1);
    return stored.length === LENGTH && timingSafeEqual(stage2, stored) && token.length === LENGTH && hash !== undefined;
  };
}
