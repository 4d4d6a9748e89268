import { type Config, complete } from '../fabric/config-file.js';
import type { FabricOptions, StorageOptions } from '../fabric/option-table.js';
import { parseFabricOptions } from '../fabric/options.js';
import { setupStorage, teardownStorage } from '../fabric/store/create.js';
import { CliError } from './failure.js';
import { TOOL } from './help.js';
import type { Io } from './io.js';
import { newPassword } from './new-password.js';
import { Interrupted } from './prompt.js';
import { STORE_PLACE, storeAdvice } from './store-advice.js';

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
  if (!(await attempt(teardownStorage(storage))))
    throw new CliError(`There is no state store: ${place(storage)}.`, STORE_PLACE);
  io.out(`The state store is removed: ${place(storage)}.\n`);
  return 0;
}

/** The account on the servers of the groups is not needed. @throws CliError when there is nothing outside of a node. */
export function storedOptions({ options: given }: Config): FabricOptions {
  const options = complete(() => parseFabricOptions({ ...given, servers: { ...given.servers, password: 'unused' } }));
  if (options.storage.type !== 'memory') return options;
  throw new CliError(
    'The state is kept in the memory of the node that runs.',
    '[storage] type = sqlite or type = mysql of the configuration keeps it.',
  );
}

async function attempt<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (cause) {
    if (cause instanceof CliError || cause instanceof Interrupted) throw cause;
    throw new CliError(`The state store: ${messageOf(cause)}`, storeAdvice(cause) ?? STORE_PLACE, { cause });
  }
}

const messageOf = (cause: unknown) => (cause instanceof Error && cause.message !== '' ? cause.message : String(cause));

/** As the sentences name it. */
export function place({ type, file, address, database }: StorageOptions): string {
  return type === 'sqlite' ? file : `${database} on ${address}`;
}
