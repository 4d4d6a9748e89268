import { StoreInUse, StoreUnusable } from '../fabric/store/create.js';
import { TOOL } from './help.js';

/** What to do about the state store when it does not work. */

export const STORE_PLACE = 'Where it is, and its account, is said in [storage].';

/** @returns undefined for what has another cause. */
export function storeAdvice(cause: unknown): string | undefined {
  if (cause instanceof StoreInUse) return `Stop that node first: '${TOOL} manage stop'. ${STORE_PLACE}`;
  return cause instanceof StoreUnusable ? STORE_PLACE : undefined;
}
