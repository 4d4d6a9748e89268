import { type LevelWithSilent, pino } from 'pino';
import type { Config } from '../fabric/config-file.js';
import type { Log, LogLevel } from '../fabric/log.js';
import { unwritableLog } from './failure.js';

/** The log of a node that runs by itself: one line of JSON for each sentence, on stderr or in a file. */

const LEVELS: Readonly<Record<LogLevel, LevelWithSilent>> = {
  CRITICAL: 'fatal',
  ERROR: 'error',
  WARNING: 'warn',
  INFO: 'info',
  DEBUG: 'debug',
};

const STDERR = 2;

export interface OpenLog extends Log {
  /** Begins the file anew where it has been moved away; on stderr nothing. */
  reopen(): void;
}

/** @throws CliError when the file cannot be written. */
export function openLog({ level, file }: Config['logging']): OpenLog {
  const target = destination(file);
  // A full disk must not end the node; and to whom should it be said?
  target.on('error', () => {});
  const logger = pino(
    {
      level: LEVELS[level],
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: label => ({ level: label }) },
    },
    target,
  );
  return {
    debug: sentence => logger.debug(sentence),
    info: sentence => logger.info(sentence),
    warn: sentence => logger.warn(sentence),
    error: sentence => logger.error(sentence),
    setLevel: wanted => {
      logger.level = LEVELS[wanted];
    },
    reopen: () => {
      if (file !== null) target.reopen();
    },
  };
}

/** Written at once: the last sentence before an end is the one that is needed. */
function destination(file: string | null) {
  try {
    return pino.destination({ dest: file ?? STDERR, sync: true });
  } catch (cause) {
    throw unwritableLog(file, cause);
  }
}
