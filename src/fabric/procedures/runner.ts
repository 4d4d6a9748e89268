import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import type { Context } from '../context.js';
import { CommandError } from '../errors.js';
import type { RunRecord } from '../store/store.js';
import { createGroupLock } from './group-lock.js';
import { createJournal, type Journal } from './journal.js';
import { carryOut, type Data, type Procedure, STOPPING } from './run.js';
import { within } from './waits.js';

/** Who runs when: the procedures of one group after each other, those of different groups side by side. */

export interface Runner {
  /**
   * Starts or queues it behind the group's other procedures; `done` settles (never rejects) when it ended.
   * @param by who asks for it; the node itself if not given.
   */
  run<D extends Data>(
    procedure: Procedure<D>,
    by?: string,
  ): { readonly uuid: string; readonly done: Promise<RunRecord> };
  /** Goes on with a run that was recorded and not finished; `procedure` is made of what was recorded. As `run` otherwise. */
  resume<D extends Data>(record: RunRecord, procedure: Procedure<D>): { readonly done: Promise<RunRecord> };
  /**
   * Waits for a run that is under way, at most `bound` ms, or gives one that has ended, also before this node was started.
   * @throws CommandError (ProcedureError) when there is none, or it has not ended by then.
   */
  wait(uuid: string, bound: number): Promise<RunRecord>;
  /** What runs, or waits for its turn: that has no events yet. */
  underWay(): readonly { readonly by: string; readonly run: RunRecord }[];
  /** Whether a procedure of this group runs or waits. */
  busy(group: string): boolean;
  /** Takes no new procedures and waits for those under way, at most `timeout` ms; then they are left as they are, for the next start to go on with. */
  stop(timeout: number): Promise<void>;
  /** Leaves those under way as they are, at once. */
  leave(): void;
}

interface Active {
  readonly by: string;
  readonly group: string;
  readonly journal: Journal;
  /** Answers it, if it waits for its turn: it gets none. */
  refuse(reason: string): void;
  /** What whoever asked for it hears. */
  readonly done: Promise<RunRecord>;
  /** Also what waits for the store is done. */
  readonly ended: Promise<void>;
}

/** The one place where procedures run: at most one at a time for each group, in the order in which they came. */
export function createRunner(context: Context): Runner {
  const lock = createGroupLock();
  const active = new Map<string, Active>();
  const waiting = new Map<string, { readonly uuid: string; readonly done: Promise<RunRecord> }>();
  /** The groups whose procedure waits for the store, and its uuid. */
  const late = new Map<string, string>();
  const leaving = new AbortController();
  setMaxListeners(0, leaving.signal); // each wait of each run listens
  let stopped = false;

  const start = <D extends Data>(procedure: Procedure<D>, uuid: string, by: string, before?: RunRecord) => {
    const { name, group, once } = procedure;
    let answer = (_run: RunRecord) => {};
    const done = new Promise<RunRecord>(resolve => {
      answer = resolve;
    });
    const journal = createJournal(procedure, uuid, context, {
      before,
      leaving: leaving.signal,
      late(run) {
        late.set(group, `${name} (${uuid})`);
        answer(run);
        turnAway(group);
      },
      onTime: () => void late.delete(group),
    });
    let turn: 'to come' | 'come' | 'none' = 'to come';
    const ended = lock.hold(group, async () => {
      if (turn === 'none') return;
      turn = 'come';
      if (once !== undefined) waiting.delete(once);
      answer(await carryOut(procedure, journal, { ...context, by }, leaving.signal));
      late.delete(group);
    });
    const refuse = (reason: string) => {
      // What a killed node has begun is ended, however long that takes.
      if (turn !== 'to come' || before) return;
      turn = 'none';
      active.delete(uuid);
      if (once !== undefined) waiting.delete(once);
      answer(journal.passOver(reason));
    };
    active.set(uuid, { by, group, journal, refuse, done, ended });
    void ended.finally(() => active.delete(uuid));
    if (once !== undefined) waiting.set(once, { uuid, done });
    return { uuid, done };
  };
  const refusal = (group: string): string | undefined => {
    if (stopped) return STOPPING;
    const holder = late.get(group);
    return (
      holder && `ProcedureError: ${holder} holds group ${group}, and waits for the state store, which takes no changes.`
    );
  };

  /** Nobody waits behind what waits for the store: that may take hours. */
  const turnAway = (group: string) => {
    const reason = refusal(group);
    for (const run of active.values()) if (reason !== undefined && run.group === group) run.refuse(reason);
  };

  return {
    run(procedure, by = 'the node') {
      const same = procedure.once === undefined ? undefined : waiting.get(procedure.once);
      if (same) return same;
      const uuid = randomUUID();
      const reason = refusal(procedure.group);
      if (reason === undefined) return start(procedure, uuid, by);
      const journal = createJournal(procedure, uuid, context, { leaving: leaving.signal, late() {}, onTime() {} });
      return { uuid, done: Promise.resolve(journal.passOver(reason)) };
    },
    resume: (record, procedure) => start(procedure, record.uuid, 'the node, started again', record),
    async wait(uuid, bound) {
      const running = active.get(uuid)?.done;
      const record = await (running ? within(bound, `Procedure (${uuid})`, running) : context.store.run(uuid));
      if (record?.finished) return record;
      const why = record ? 'has not ended, and is not under way in this node' : 'was not found';
      throw new CommandError('ProcedureError', `Procedure (${uuid}) ${why}.`);
    },
    underWay: () => [...active.values()].map(({ by, journal }) => ({ by, run: journal.now() })),
    busy: group => lock.held(group),
    async stop(timeout) {
      stopped = true;
      const ended = () => Promise.all([...active.values()].map(run => run.ended));
      await within(timeout, 'the procedures under way', ended()).catch(() => {
        context.log.warn(`stopped while ${active.size} procedures were under way: the next start goes on with them`);
      });
      leaving.abort(new Left());
      await ended();
    },
    leave() {
      stopped = true;
      leaving.abort(new Left());
    },
  };
}

/** The node stops without waiting any longer: the run stays as it was last recorded. */
class Left extends CommandError {
  constructor() {
    super('ProcedureError', 'The node has stopped; the next start goes on with this procedure.');
  }
}
