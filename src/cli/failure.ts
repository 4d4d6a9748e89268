import { FabricError } from '../client/errors.js';
import { HttpRefusal, mayBeDone } from '../client/rpc-endpoint.js';
import type { DecodedReply } from '../wire/reply.js';
import { XmlRpcFault } from '../wire/xmlrpc.js';
import { type CliCommand, typed } from './catalogue.js';
import { TOOL } from './help.js';

/** What to do next, for everything that can go wrong. */

/** Something that this process found wrong. Exit status 1. */
export class CliError extends Error {
  override readonly name = 'CliError';
  constructor(
    message: string,
    readonly advice: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

export function unwritableLog(file: string | null, cause: unknown): CliError {
  const { code = String(cause) } = cause as NodeJS.ErrnoException;
  return new CliError(`The log ${file} cannot be written (${code}).`, 'It is [logging] url of the configuration.', {
    cause,
  });
}

/** For a command that the node refused. The kind of a procedure's error stands before its message, as the wire has it. */
export function adviceForRefusal({ error }: DecodedReply, command: CliCommand): string {
  const [, kind = ''] = /^([A-Z]\w*Error): /.exec(error) ?? [];
  return BY_KIND[kind] ?? `'${TOOL} help ${typed(command)}' explains the command.`;
}

const BY_KIND: Readonly<Record<string, string>> = {
  GroupError: `'${TOOL} group lookup_groups' shows the groups, '${TOOL} group health <group>' how one is.`,
  ServerError: `'${TOOL} group health <group>' shows how the servers are, '${TOOL} group why <group>' what the node makes of it.`,
  DatabaseError: `Is the MySQL server running, and may the account of [servers] log in? '${TOOL} server lookup_uuid <address>' tries it.`,
  ProcedureError: `'${TOOL} group health <group>' shows how the servers are; the log of the node says what was done.`,
  InternalError: 'The log of the node has the details.',
};

/** For a call that got no answer, in the words of the endpoint's error. */
export function failedCall(error: unknown, node: string, { kind, acts }: Pick<CliCommand, 'kind' | 'acts'>): CliError {
  if (!(error instanceof FabricError)) throw error;
  const { cause } = error;
  const inDoubt = acts && error.code === 'FABRIC_UNREACHABLE' && mayBeDone(cause);
  const doubt = kind === 'procedure' ? PROCEDURE_IN_DOUBT : IN_DOUBT;
  return new CliError(error.message, `${adviceForCause(cause, node)}${inDoubt ? `\n${doubt}` : ''}`, { cause: error });
}

const IN_DOUBT = 'What was asked for may have been done: look before you ask for it again.';

const PROCEDURE_IN_DOUBT =
  `The change may be under way or done; what the node had begun as it ended, it goes on with at its next start. ` +
  `'${TOOL} event under_way' shows what is under way, '${TOOL} event log' what became of it.`;

function adviceForCause(cause: unknown, node: string): string {
  if (cause instanceof HttpRefusal) return BY_HTTP_STATUS[cause.status] ?? NOT_A_NODE;
  if (cause instanceof XmlRpcFault) return `The node does not have this command: is it of another version?`;
  const code = (cause as NodeJS.ErrnoException | undefined)?.code ?? '';
  return (BY_CODE[code] ?? ((address: string) => `Is a Fabric node listening on ${address}? ${ADDRESS_ADVICE}`))(node);
}

const ADDRESS_ADVICE = 'Its address is [protocol.xmlrpc] address of the configuration.';
const NOT_A_NODE = `Is that a Fabric node? ${ADDRESS_ADVICE}`;
const ACCOUNT =
  'Its account is user and password of [protocol.xmlrpc], or --user and --password-file; without a password it is asked for.';

const BY_HTTP_STATUS: Readonly<Record<number, string>> = {
  400: ACCOUNT,
  401: ACCOUNT,
  403: 'Another user may call it: --user.',
  500: 'The node failed at it: its log says why.',
  503: 'So many wrong passwords of this user came from this machine that it has to wait: try again in some seconds.',
};

const unknownHost = (node: string) => `Is the host name of ${node} right? ${ADDRESS_ADVICE}`;

const untrusted = (node: string) =>
  `Whose certificate does ${node} have? [protocol.xmlrpc] ssl_ca names the file with those that are trusted.`;

const ended = () => 'The node has ended, or it ended the call, or the network did; its log says more.';

const BY_CODE: Readonly<Record<string, (node: string) => string>> = {
  ECONNREFUSED: node =>
    `Is the node running? '${TOOL} manage start' starts one; it is looked for on ${node}. ${ADDRESS_ADVICE}`,
  ECONNRESET: ended,
  EPIPE: ended,
  EPROTO: node => `Does ${node} speak HTTPS? It is spoken where [protocol.xmlrpc] has ssl_ca or ssl_cert.`,
  DEPTH_ZERO_SELF_SIGNED_CERT: untrusted,
  SELF_SIGNED_CERT_IN_CHAIN: untrusted,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: untrusted,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: untrusted,
  CERT_HAS_EXPIRED: node => `The certificate of ${node} must be renewed.`,
  ERR_TLS_CERT_ALTNAME_INVALID: node => `The certificate of ${node} is for another name. ${ADDRESS_ADVICE}`,
  ENOTFOUND: unknownHost,
  EAI_AGAIN: unknownHost,
  ETIMEDOUT: node => `The node on ${node} did not answer in time. '${TOOL} manage ping' tells whether it lives.`,
  FABRIC_BAD_MESSAGE: () => NOT_A_NODE,
};
