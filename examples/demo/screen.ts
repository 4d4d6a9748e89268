/** Where the demo writes: lines that stay, and below them, on a terminal, a view that is drawn in place. */
import { clearScreenDown, cursorTo, moveCursor } from 'node:readline';
import type { WriteStream } from 'node:tty';
import { styleText } from 'node:util';

/** The styles that the demo uses; plain text where there are no colours. */
export type Style = 'bold' | 'dim' | 'green' | 'yellow' | 'red' | 'cyan';

export interface Screen {
  /** ms between two views. */
  readonly interval: number;
  readonly paint: (style: Style, text: string) => string;
  /** A line that stays. */
  say(line: string): void;
  /** The view as it is now; `status` is the same in one line. */
  show(view: readonly string[], status: string): void;
  /** The last view stays on the screen, and the cursor is back. */
  end(): void;
}

/** @param stream a terminal, a pipe or a file. */
export function openScreen(stream: NodeJS.WriteStream): Screen {
  return stream.isTTY ? new TerminalScreen(stream) : new PlainScreen(stream);
}

const HIDE_CURSOR = '\x1b[?25l';
const SHOW_CURSOR = '\x1b[?25h';
const NO_WRAP = '\x1b[?7l';
const WRAP = '\x1b[?7h';

class TerminalScreen implements Screen {
  readonly interval = 250;
  readonly paint: Screen['paint'];
  readonly #stream: WriteStream;
  readonly #restore = (): void => this.end();
  #view: readonly string[] = [];
  #drawn = 0;
  #open = true;

  constructor(stream: WriteStream) {
    this.#stream = stream;
    this.paint = stream.hasColors() ? styleText : (_style, text) => text;
    stream.write(HIDE_CURSOR);
    process.on('exit', this.#restore);
  }

  say(line: string): void {
    this.#erase();
    this.#stream.write(`${line}\n`);
    this.#draw();
  }

  show(view: readonly string[]): void {
    this.#erase();
    this.#view = view;
    this.#draw();
  }

  end(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#view = [];
    this.#drawn = 0;
    this.#stream.write(SHOW_CURSOR);
    process.off('exit', this.#restore);
  }

  #erase(): void {
    if (this.#drawn === 0) return;
    moveCursor(this.#stream, 0, -this.#drawn);
    cursorTo(this.#stream, 0);
    clearScreenDown(this.#stream);
    this.#drawn = 0;
  }

  /** No more lines than fit, and each cut at the edge: what has scrolled or wrapped could not be erased. */
  #draw(): void {
    if (!this.#open) return;
    const lines = this.#view.slice(0, Math.max(this.#stream.rows - 1, 0));
    if (lines.length > 0) this.#stream.write(`${NO_WRAP}${lines.join('\n')}\n${WRAP}`);
    this.#drawn = lines.length;
  }
}

class PlainScreen implements Screen {
  readonly interval = 1_000;
  readonly #stream: NodeJS.WritableStream;

  constructor(stream: NodeJS.WritableStream) {
    this.#stream = stream;
  }

  paint(_style: Style, text: string): string {
    return text;
  }

  say(line: string): void {
    this.#stream.write(`${line}\n`);
  }

  show(_view: readonly string[], status: string): void {
    this.#stream.write(`${status}\n`);
  }

  end(): void {}
}
