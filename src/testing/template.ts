/** A data directory with the accounts in it, made once per server version and copied for every server. */
import { createHash } from 'node:crypto';
import { constants, existsSync } from 'node:fs';
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { accountStatements } from './accounts.js';
import { buildOnce } from './build-once.js';
import { runProgram } from './run-program.js';
import { initialiseArguments, versionNumber } from './server-options.js';
import { type ServerProgram, serversFolder } from './server-program.js';

const STAMP = 'template.json';
const INITIALISE_BOUND = 120_000;

/** A fresh data directory at `datadir`, which must not exist: about 0.1 s once the template is there, 3 s before. */
export async function copyTemplate(program: ServerProgram, datadir: string): Promise<void> {
  await cp(await findTemplate(program), datadir, { recursive: true, mode: constants.COPYFILE_FICLONE });
  // without it the server gives itself a uuid of its own
  await rm(join(datadir, 'auto.cnf'), { force: true });
}

async function findTemplate(program: ServerProgram): Promise<string> {
  const root = serversFolder();
  const number = versionNumber(program.version);
  const statements = accountStatements(number);
  const args = ['--no-defaults', ...program.args, ...initialiseArguments(number)];
  const name = `template-${program.version}-${contentHash([...statements, ...initialiseArguments(number)])}`;
  return await buildOnce({
    root,
    lock: name,
    find: async () => (existsSync(join(root, name, STAMP)) ? join(root, name, 'data') : undefined),
    build: async folder => {
      await initialise(program, args, folder, statements);
      await rm(join(folder, 'data/auto.cnf'), { force: true });
      await writeFile(join(folder, STAMP), `${JSON.stringify({ version: program.version })}\n`);
      return name;
    },
  });
}

async function initialise(program: ServerProgram, args: string[], folder: string, statements: string[]): Promise<void> {
  const tmpdir = join(folder, 'tmp');
  await mkdir(tmpdir);
  const folders = [`--datadir=${join(folder, 'data')}`, `--tmpdir=${tmpdir}`];
  const run = { env: program.env, timeout: INITIALISE_BOUND };
  if (versionNumber(program.version) < 50700) {
    await mkdir(join(folder, 'data'));
    const input = await bootstrapSql(program, statements);
    await runProgram([...program.command, ...args, ...folders, '--bootstrap'], { ...run, input });
    return;
  }
  const file = join(folder, 'accounts.sql');
  await writeFile(file, `${statements.join('\n')}\n`);
  await runProgram([...program.command, ...args, ...folders, '--initialize-insecure', `--init-file=${file}`], run);
}

/** What mysql_install_db does, without perl. */
async function bootstrapSql(program: ServerProgram, statements: string[]): Promise<string> {
  if (program.share === undefined) {
    throw new Error(`MySQL ${program.version}: no share/mysql_system_tables.sql near ${program.command.join(' ')}`);
  }
  const files = ['mysql_system_tables.sql', 'mysql_system_tables_data.sql'].map(name =>
    join(program.share ?? '', name),
  );
  const tables = await Promise.all(files.map(path => readFile(path, 'utf8')));
  return ['CREATE DATABASE mysql;', 'USE mysql;', ...tables, ...statements, ''].join('\n');
}

function contentHash(lines: readonly string[]): string {
  return createHash('sha256').update(lines.join('\n')).digest('hex').slice(0, 8);
}
