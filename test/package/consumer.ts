import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

/** A project that has the packed package installed: what a user gets, not what lies in this folder. */

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, '../..');
const require = createRequire(import.meta.url);

/** What npm would install beside it; TypeScript and its Node types are the user's own. */
const NEIGHBOURS = ['mysql2', 'lru-cache', 'generic-pool', 'pino', 'xmlrpc', '@types/node'];

export class Consumer {
  private constructor(readonly dir: string) {}

  static async create(): Promise<Consumer> {
    const dir = await mkdtemp(join(tmpdir(), 'mysql2-fabric-consumer-'));
    const consumer = new Consumer(dir);
    try {
      await consumer.#install();
      return consumer;
    } catch (error) {
      await consumer.remove();
      throw error;
    }
  }

  async #install(): Promise<void> {
    await writeFile(
      join(this.dir, 'package.json'),
      JSON.stringify({ name: 'consumer', type: 'module', private: true }),
    );
    const modules = join(this.dir, 'node_modules');
    await mkdir(join(modules, '@types'), { recursive: true });
    // built by whoever started the tests: scripts would build it again under the feet of other tests
    await run('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', this.dir], { cwd: ROOT });
    const tarball = (await readdir(this.dir)).find(name => name.endsWith('.tgz')) ?? '';
    await run('tar', ['-xzf', tarball, '-C', modules], { cwd: this.dir });
    await run('mv', ['package', 'mysql2-fabric'], { cwd: modules });
    for (const name of NEIGHBOURS) await symlink(join(ROOT, 'node_modules', name), join(modules, name));
  }

  /** Runs a program of this project's, and gives what it printed. `.cjs` and `.mjs` are told apart as Node does. */
  async node(name: string, text: string): Promise<string> {
    await writeFile(join(this.dir, name), text);
    const { stdout } = await run(process.execPath, [name], { cwd: this.dir, timeout: 20_000 });
    return stdout.trim();
  }

  async write(path: string, text: string): Promise<void> {
    await writeFile(join(this.dir, path), text);
  }

  async copy(folder: string): Promise<void> {
    await cp(folder, join(this.dir, 'src'), { recursive: true });
  }

  /** Compiles `src` with the strictest settings, declarations of libraries included; gives the compiler's complaints. */
  async compile(options: Readonly<Record<string, unknown>>): Promise<string> {
    const compilerOptions = {
      target: 'es2022',
      lib: ['es2023'],
      strict: true,
      noEmit: true,
      types: ['node'],
      ...options,
    };
    await writeFile(join(this.dir, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['src'] }));
    const compiler = join(dirname(require.resolve('typescript/package.json')), 'bin/tsc');
    return await run(process.execPath, [compiler, '-p', '.', '--pretty', 'false'], { cwd: this.dir }).then(
      () => '',
      (error: { stdout?: string }) => error.stdout ?? String(error),
    );
  }

  async remove(): Promise<void> {
    await rm(this.dir, { recursive: true, force: true });
  }
}
