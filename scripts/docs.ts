import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { commandsManual } from './commands-manual.js';

/** `npm run docs`: writes what the sources say into docs/. */

writeFileSync(join(import.meta.dirname, '../docs/commands.md'), commandsManual());
