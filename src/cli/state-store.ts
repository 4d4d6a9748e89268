import { type Config, complete } from '../fabric/config-file.js';
import type { FabricOptions, StorageOptions } from '../fabric/option-table.js';
import { parseFabricOptions } from '../fabric/options.js';
import { setupStorage, teardownStorage } from '../fabric/store/create.js';
import { CliError } from './failure.js';
import { TOOL } from './help.js';
import type { Io } from './io.js';
import { newPassword } from './new-password.js';
import { Interrupted } from './prompt.js';

/** `manage setup` and `manage teardown`: the state store without a node. */

export async function setUp(config: Config, io: Io): Promise<number> {
  const options = storedOptions(config);
  const { storage } = options;
  await attempt(setupStorage(options, user => newPassword(io, undefined, ` for ${user}`)));
  io.out(`The state store is ready: ${place(storage)}. '${TOOL} manage start' runs a node on it.\n`);
  return 0;
}

export async function tearDown(config: Config, io: Io): Promise<number> {
  const { storage } = storedOptions(config);
  await attempt(teardownStorage(storage));
  io.out(`The state store is removed: ${place(storage)}.\n`);
  return 0;
}

/** @throws CliError when there is nothing outside of a node. */
function storedOptions(config: Config): FabricOptions {
  const options = complete(() => parseFabricOptions(config.options));
  if (options.storage.type !== 'memory') return options;
  throw new CliError(
    'The state is kept in the memory of the node that runs.',
    '[storage] type = sqlite or type = mysql of the configuration keeps it.',
  );
}

async function attempt(work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (cause) {
    if (cause instanceof CliError || cause instanceof Interrupted) throw cause;
    const message = cause instanceof Error && cause.message !== '' ? cause.message : String(cause);
    throw new CliError(`The state store: ${message}`, 'Where it is, and its account, is said in [storage].', { cause });
  }
}

function place({ type, file, address, database }: StorageOptions): string {
  return type === 'sqlite' ? file : `${database} on ${address}`;
}
