import type { IncomingMessage } from 'node:http';
import { DigestGuard } from '../../wire/digest.js';
import { type Accounts, ANYBODY } from '../accounts.js';
import type { EndpointOptions } from '../option-table.js';
import type { Caller } from '../roles.js';
import type { WrongPasswords } from './wrong-passwords.js';

/** Who calls, by the head of the request alone, so that a stranger's body is never kept. */

export interface Refused {
  readonly status: number;
  readonly challenge?: string;
  /** ms to wait before it is told. */
  readonly hold?: number;
}

const PATHS: readonly string[] = ['/RPC2', '/'];

export function createAdmission(
  { disableAuthentication }: EndpointOptions,
  accounts: Accounts,
  wrongPasswords: WrongPasswords,
): (request: IncomingMessage) => Caller | Refused {
  const guard = new DigestGuard({ passwordHash: accounts.passwordHash });
  return ({ method = '', url = '', headers, socket }) => {
    if (method !== 'POST') return { status: 501 };
    if (!PATHS.includes(url)) return { status: 404 };
    if (disableAuthentication) return ANYBODY;
    const verdict = guard.verify(headers.authorization, method, url);
    if (verdict.outcome === 'challenge') {
      return { status: 401, challenge: guard.challenge({ stale: verdict.stale }) };
    }
    // The original answered 400, not 401, to wrong credentials: connectors must not ask for the password again and again.
    if (verdict.user === undefined) return { status: 400 };
    const next = wrongPasswords.judge(verdict.user, socket.remoteAddress, verdict.outcome === 'granted');
    if (next === 'in') return accounts.caller(verdict.user);
    return next === 'crowded' ? { status: 503 } : { status: 400, hold: next };
  };
}
