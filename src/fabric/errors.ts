/** What a command answers when it refuses or fails. The wire shows `kind: message` for procedures and `message` for direct commands. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  /** @param kind the original's error class: GroupError, ServerError, ProcedureError, ...; UserError and PermissionError are ours */
  constructor(
    readonly kind: CommandErrorKind,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** A text as a sentence of its own; one that is a sentence already stays as it is. */
export const ended = (text: string): string => (text.endsWith('.') ? text : `${text}.`);

export type CommandErrorKind =
  | 'GroupError'
  | 'ServerError'
  | 'DatabaseError'
  | 'ProcedureError'
  | 'ConfigurationError'
  | 'UserError'
  | 'PermissionError'
  | 'CommandError'
  | 'InternalError';
