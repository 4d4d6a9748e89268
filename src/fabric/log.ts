/** Takes the node's sentences: each decision with its evidence. Never a secret. */
export interface Log {
  debug(sentence: string): void;
  info(sentence: string): void;
  warn(sentence: string): void;
  error(sentence: string): void;
}
