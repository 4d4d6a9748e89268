import { createServer, type Socket } from 'node:net';
import { createSecureContext, TLSSocket } from 'node:tls';
import { createAccounts } from '../accounts.js';
import type { CommandContext } from '../commands/define.js';
import { MYSQL_PORT, type MysqlOptions } from '../option-table.js';
import { createClients, type Endpoint, listen } from './listener.js';
import { createAnswers } from './mysql-answers.js';
import { requireServerHalf } from './mysql-connection.js';
import { createLoginCheck } from './mysql-login.js';
import { MysqlSession, type SessionParts } from './mysql-session.js';
import { readCertificates } from './tls.js';
import { createWrongPasswords } from './wrong-passwords.js';

/** The endpoint of the MySQL protocol: it listens. What a client may do is `mysql-session.ts`'s. */

/** The package's version, behind one of MySQL as MariaDB has it: connectors refuse servers that call themselves older than 4.1. */
export const SERVER_VERSION = '5.7.9-0.1.0-fabric';

/** Takes the port, and lets nobody in before it is opened; rejects with Node's error when it cannot (EADDRINUSE ...). */
export async function startMysql(options: MysqlOptions, context: CommandContext): Promise<Endpoint> {
  requireServerHalf();
  const { log } = context;
  const clients = createClients<MysqlSession>(options.maxConnections);
  const accounts = createAccounts('mysql', options, context.store);
  const wrongPasswords = createWrongPasswords();
  const answer = createAnswers(context);
  const parts: SessionParts = {
    limits: {
      packet: options.maxRequestSize,
      loginTimeout: options.loginTimeout * 1_000,
      idleTimeout: options.idleTimeout * 1_000,
    },
    serverVersion: SERVER_VERSION,
    log,
    encrypt: createEncryption(options),
    knowsPassword: createLoginCheck(options, accounts),
    wrongPasswords,
    admit: session => clients.admit(session),
    answer: (sql, settings, user) => answer(sql, settings, accounts.caller(user)),
  };
  let connections = 0;
  const server = createServer(socket => {
    connections = (connections + 1) >>> 0;
    clients.welcome(new MysqlSession(socket, connections, parts));
  });
  const where = { where: options.address, port: MYSQL_PORT };
  const { address, open, stop } = await listen({ name: 'the MySQL endpoint', server, ...where, clients, log });
  return {
    address,
    open,
    stop(grace) {
      wrongPasswords.stop();
      return stop(grace);
    },
  };
}

function createEncryption(options: MysqlOptions): ((socket: Socket) => Socket) | null {
  const certificates = readCertificates('protocol.mysql', options);
  if (!certificates) return null;
  const secureContext = createSecureContext(certificates);
  return plain => new TLSSocket(plain, { isServer: true, secureContext });
}
