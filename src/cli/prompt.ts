/** Asks for a password on a terminal, without showing it. */

/** Ctrl-C. Exit status 130. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
}

/** What is needed of a terminal's input; `process.stdin` is one. */
export interface Terminal {
  setRawMode(raw: boolean): unknown;
  resume(): unknown;
  pause(): unknown;
  on(event: 'data', listener: (chunk: Buffer) => void): unknown;
  once(event: 'end', listener: () => void): unknown;
  off(event: 'data', listener: (chunk: Buffer) => void): unknown;
  off(event: 'end', listener: () => void): unknown;
}

/** @throws Interrupted on Ctrl-C, and when the terminal is gone. */
export function askHidden(question: string, terminal: Terminal, show: (text: string) => void): Promise<string> {
  return new Promise((resolve, reject) => {
    let typed = Buffer.alloc(0);
    const finish = (done: () => void): void => {
      terminal.off('data', listen);
      terminal.off('end', leave);
      terminal.setRawMode(false);
      terminal.pause();
      show('\n');
      done();
    };
    const leave = () => finish(() => reject(new Interrupted()));
    const listen = (chunk: Buffer): void => {
      for (const [index, byte] of chunk.entries()) {
        if (byte === CTRL_C || byte === CTRL_D) leave();
        else if (byte === LF || byte === CR) finish(() => resolve(typed.toString('utf8')));
        else typed = ERASE.has(byte) ? withoutLast(typed) : Buffer.concat([typed, chunk.subarray(index, index + 1)]);
        if (ENDS.has(byte)) return;
      }
    };
    show(question);
    terminal.setRawMode(true);
    terminal.on('data', listen);
    terminal.once('end', leave);
    terminal.resume();
  });
}

const CTRL_C = 3;
const CTRL_D = 4;
const LF = 10;
const CR = 13;
const ENDS = new Set([CTRL_C, CTRL_D, LF, CR]);
const ERASE = new Set([8, 127]);

/** A character may be several bytes. */
function withoutLast(typed: Buffer): Buffer<ArrayBuffer> {
  return Buffer.from([...typed.toString('utf8')].slice(0, -1).join(''));
}
