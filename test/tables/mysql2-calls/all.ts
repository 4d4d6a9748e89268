import type { Call } from './call.js';
import { channelCalls } from './channels.js';
import { connectionCalls } from './connections.js';
import { poolCalls } from './pools.js';
import { promiseCalls } from './promises.js';
import { queryCalls } from './queries.js';
import { statementCalls } from './statements.js';

export const calls: readonly Call[] = [
  ...statementCalls,
  ...queryCalls,
  ...connectionCalls,
  ...poolCalls,
  ...promiseCalls,
  ...channelCalls,
];
