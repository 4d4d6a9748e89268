import { type Config, complete } from '../fabric/config-file.js';
import type { Log } from '../fabric/log.js';
import { createFabric, type Fabric } from '../fabric/node.js';
import { CliError } from './failure.js';
import { TOOL } from './help.js';
import type { Io } from './io.js';
import { openLog } from './log.js';
import { storeAdvice } from './store-advice.js';

/** `manage start`: a node in this process, until a signal or `manage stop` ends it. */

/**
 * @returns the exit status: 0 after SIGTERM and `manage stop`, 130 after SIGINT.
 * @throws CliError when the node could not start, or has ended by itself.
 */
export async function startNode(config: Config, io: Io): Promise<number> {
  const log = openLog(config.logging);
  const fabric = complete(() => createFabric({ ...config.options, log }));
  log.info(config.file === null ? 'There is no configuration file.' : `The configuration is ${config.file}.`);
  for (const note of config.notes) log.warn(note);
  if (config.logging.file !== null) io.onHangUp(() => log.reopen());
  // Asked for first: it also ends a start that takes long, because the store does not answer or a killed node has left much to do.
  const signal = io.signal();
  const early = await Promise.race([signal, start(fabric, log)]);
  if (!early) io.started();
  const end = early || (await Promise.race([signal, fabric.stopped()]));
  if (end instanceof Error) throw new CliError(`The node has stopped: ${end.message}`, STOOD_DOWN);
  if (end) log.info(`Stopping, because of ${end}.`);
  await fabric.stop();
  return end === 'SIGINT' ? 130 : 0;
}

async function start(fabric: Fabric, log: Log): Promise<void> {
  try {
    await fabric.start();
  } catch (cause) {
    const { code = '', message } = cause as NodeJS.ErrnoException;
    if (code === 'ABORT_ERR') return log.info(message);
    log.error(`The node could not start: ${message}`);
    const advice = storeAdvice(cause) ?? ADVICE[code] ?? adviceFor(message);
    throw new CliError(`The node could not start: ${message}`, advice, { cause });
  }
}

const adviceFor = (message: string) =>
  message.includes('manage setup') ? `'${TOOL} help manage setup' explains it.` : 'The log may have more.';

const STOOD_DOWN =
  'The other one looks after the groups. If it was started by mistake, stop it and start this one again.';

const ADDRESSES = 'The addresses are those of [protocol.xmlrpc] and [protocol.mysql].';

const ADVICE: Readonly<Record<string, string>> = {
  EADDRINUSE: `Is a node running already? '${TOOL} manage ping' tells. ${ADDRESSES}`,
  EADDRNOTAVAIL: ADDRESSES,
  EACCES: ADDRESSES,
  ENOTFOUND: ADDRESSES,
};
