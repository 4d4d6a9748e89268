export const LOG_LEVELS = ['CRITICAL', 'ERROR', 'WARNING', 'INFO', 'DEBUG'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Takes the node's sentences: each decision with its evidence. Never a secret. */
export interface Log {
  debug(sentence: string): void;
  info(sentence: string): void;
  warn(sentence: string): void;
  error(sentence: string): void;
  /** From which level on it keeps them, for `manage.logging_level`; a log without this has a level of its own. */
  setLevel?(level: LogLevel): void;
}
