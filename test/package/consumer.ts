import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

/** A project that has the packed package installed: what a user gets, not what lies in this folder. */

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, '../..');

/** A version of TypeScript. */
export interface Compiler {
  readonly version: string;
  readonly tsc: string;
}

/** The one that a chain of packages depends on. */
function compilerOf(...chain: string[]): Compiler {
  const path = [...chain, 'typescript'].reduce(
    (from, name) => {
      const resolve = createRequire(from).resolve;
      return name === '@arethetypeswrong/core' ? resolve(name) : resolve(`${name}/package.json`);
    },
    import.meta.url,
  );
  const { version } = createRequire(path)(path) as { version: string };
  return { version, tsc: join(dirname(path), 'bin/tsc') };
}

/** The current TypeScript, and the 5.x that one of our tools brings along: two of one name cannot be installed side by side. */
export const COMPILERS = {
  current: compilerOf(),
  older: compilerOf('@arethetypeswrong/cli', '@arethetypeswrong/core'),
};

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

  /** @param but a file that needs more than is installed here. */
  async copy(folder: string, but: string): Promise<void> {
    await cp(folder, join(this.dir, 'src'), { recursive: true, filter: source => !source.endsWith(but) });
  }

  /** Compiles `src` with the strictest settings, declarations of libraries included; gives the compiler's complaints. */
  async compile(options: Readonly<Record<string, unknown>>, compiler: Compiler = COMPILERS.current): Promise<string> {
    const compilerOptions = {
      target: 'es2022',
      lib: ['es2023'],
      strict: true,
      noEmit: true,
      types: ['node'],
      ...options,
    };
    await writeFile(join(this.dir, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['src'] }));
    return await run(process.execPath, [compiler.tsc, '-p', '.', '--pretty', 'false'], { cwd: this.dir }).then(
      () => '',
      (error: { stdout?: string }) => error.stdout ?? String(error),
    );
  }

  async remove(): Promise<void> {
    await rm(this.dir, { recursive: true, force: true });
  }
}
