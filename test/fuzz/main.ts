import { digests, http } from './http.js';
import { mysql } from './mysql.js';
import { survives } from './thrower.js';
import { Victim } from './victim.js';

/** `npm run test:fuzz`: 100,000 inputs at each endpoint, by a stranger and by one who has logged in. `FUZZ_INPUTS`, `FUZZ_SEED`. */

const inputs = Number(process.env.FUZZ_INPUTS ?? 100_000);
const seed = Number(process.env.FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 30));
const megabytes = (pair: readonly number[]) => pair.map(bytes => (bytes / 2 ** 20).toFixed(1)).join(' -> ');

console.log(`FUZZ_SEED=${seed} FUZZ_INPUTS=${inputs}`);
const victim = await Victim.start();
try {
  const { xmlrpc, mysql: port } = victim.ports;
  const protocols = [http(xmlrpc, null), http(xmlrpc, await digests(xmlrpc)), mysql(port, null), mysql(port, 'secret')];
  for (const protocol of protocols) {
    const started = performance.now();
    const { heap, rss } = await survives(victim, protocol, { inputs, seed });
    const seconds = ((performance.now() - started) / 1_000).toFixed(0);
    console.log(
      `${protocol.name}: ${inputs} inputs in ${seconds} s; MB of heap ${megabytes(heap)}, of RSS ${megabytes(rss)}`,
    );
  }
  await victim.stop();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
} finally {
  victim.kill();
}
