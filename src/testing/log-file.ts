/** The end of a server's log. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

const TAIL = 64 * 1024;

/** The last lines of a file, '' when there is none. Reads 64 KB at most. */
export function lastLines(path: string, count: number): string {
  const text = readTail(path).trimEnd();
  return text.split('\n').slice(-count).join('\n');
}

function readTail(path: string): string {
  try {
    const file = openSync(path, 'r');
    try {
      const { size } = fstatSync(file);
      const buffer = Buffer.alloc(Math.min(size, TAIL));
      const read = readSync(file, buffer, 0, buffer.length, size - buffer.length);
      return buffer.toString('utf8', 0, read);
    } finally {
      closeSync(file);
    }
  } catch {
    return '';
  }
}
