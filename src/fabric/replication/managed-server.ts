import type { Dialect } from './dialect.js';
import { endClients, fence, unfence } from './fencing.js';
import {
  follow,
  forgetSource,
  isIdle,
  replicaStatus,
  semiSync,
  setSemiSync,
  stopThreads,
  waitForExecuted,
} from './following.js';
import type { Address, ManagedServer, ReplicaStatus, SemiSync, ServerIdentity } from './replication.js';
import { REQUIRED_VARIABLES, requirementIssues } from './requirements.js';
import { type Session, text } from './session.js';

/** A MySQL server as `ManagedServer`, in the dialect it speaks, over a session that is open already. */
export class MysqlServer implements ManagedServer {
  readonly #session: Session;
  readonly #dialect: Dialect;

  constructor(session: Session, dialect: Dialect) {
    this.#session = session;
    this.#dialect = dialect;
  }

  get address(): Address {
    return this.#session.address;
  }

  async identity(): Promise<ServerIdentity> {
    const superReadOnly = this.#dialect.superReadOnly ? '@@GLOBAL.super_read_only' : '0';
    const [row] = await this.#session.run(
      `SELECT @@GLOBAL.server_uuid AS uuid, VERSION() AS version, @@GLOBAL.read_only AS readOnly, ${superReadOnly} AS superReadOnly`,
    );
    return {
      uuid: text(row?.uuid),
      version: text(row?.version),
      readOnly: Number(row?.readOnly) === 1,
      superReadOnly: this.#dialect.superReadOnly ? Number(row?.superReadOnly) === 1 : null,
    };
  }

  async uptime(): Promise<number> {
    const [row] = await this.#session.run("SHOW GLOBAL STATUS LIKE 'Uptime'");
    return Number(row?.Value);
  }

  async requirementIssues(): Promise<string[]> {
    const names = REQUIRED_VARIABLES.map(name => `'${name}'`).join(', ');
    const variables = await this.#session.run(`SHOW GLOBAL VARIABLES WHERE Variable_name IN (${names})`);
    const grants = await this.#session.run('SHOW GRANTS FOR CURRENT_USER()');
    return requirementIssues({
      version: this.#session.version,
      variables: new Map(variables.map(row => [text(row.Variable_name).toLowerCase(), text(row.Value)])),
      grants: grants.map(row => text(Object.values(row)[0])),
      passwordLength: this.#session.account.password.length,
    });
  }

  async executed(): Promise<string> {
    const [row] = await this.#session.run('SELECT @@GLOBAL.gtid_executed AS gtids');
    return text(row?.gtids).replace(/\s/g, '');
  }

  replicaStatus(): Promise<ReplicaStatus | null> {
    return replicaStatus(this.#session, this.#dialect);
  }

  fence(): Promise<void> {
    return fence(this.#session, this.#dialect);
  }

  async killClients(): Promise<number> {
    return (await endClients(this.#session)).killed;
  }

  unfence(): Promise<void> {
    return unfence(this.#session, this.#dialect);
  }

  follow(source: Address): Promise<void> {
    return follow(this.#session, this.#dialect, source);
  }

  stopReplication(): Promise<void> {
    return stopThreads(this.#session, this.#dialect.stop);
  }

  stopReceiving(): Promise<void> {
    return stopThreads(this.#session, this.#dialect.stopReceiving);
  }

  async startReceiving(): Promise<void> {
    await this.#session.run(this.#dialect.startReceiving);
  }

  async startApplying(): Promise<void> {
    await this.#session.run(this.#dialect.startApplying);
  }

  isIdle(): Promise<boolean> {
    return isIdle(this.#session);
  }

  forgetSource(): Promise<void> {
    return forgetSource(this.#session, this.#dialect);
  }

  waitForExecuted(gtids: string, timeout: number): Promise<boolean> {
    return waitForExecuted(this.#session, this.#dialect, gtids, timeout);
  }

  setSemiSync(role: 'primary' | 'secondary'): Promise<void> {
    return setSemiSync(this.#session, this.#dialect, role);
  }

  semiSync(): Promise<SemiSync | null> {
    return semiSync(this.#session);
  }

  async ping(): Promise<void> {
    await this.#session.run('DO 1');
  }

  onLost(listener: () => void): void {
    this.#session.onLost(listener);
  }

  close(): void {
    this.#session.close();
  }
}
