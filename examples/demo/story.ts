/** What is told while the demo runs: headings, events with the time, and what the node says. */
import type { Sentence } from './cluster.js';
import type { Screen } from './screen.js';

export class Story {
  readonly #screen: Screen;
  readonly #began = performance.now();
  #held: Sentence[] | undefined;

  constructor(screen: Screen) {
    this.#screen = screen;
  }

  /** Since the beginning, in ms. */
  get elapsed(): number {
    return performance.now() - this.#began;
  }

  heading(text: string): void {
    this.#screen.say('');
    this.#line('bold', text);
  }

  say(text: string): void {
    this.#line(undefined, text);
  }

  /** A sentence of the node's: told at once, or kept for a timeline. */
  hear(sentence: Sentence): void {
    if (this.#held === undefined) this.#line('dim', `node: ${sentence.text}`);
    else this.#held.push(sentence);
  }

  /** From now on the node's sentences are kept. */
  hold(): void {
    this.#held ??= [];
  }

  /** Tells what happened since `zero` in the order in which it happened, the node's sentences among it. */
  timeline(zero: number, events: readonly Sentence[]): void {
    const heard = (this.#held ?? []).map(({ at, text }) => ({ at, text: `  node: ${text}`, style: 'dim' as const }));
    this.#held = undefined;
    const all = [...heard, ...events.map(event => ({ ...event, style: 'cyan' as const }))];
    for (const { at, text, style } of all.sort((a, b) => a.at - b.at)) {
      this.#screen.say(this.#screen.paint(style, `  ${`+${Math.round(at - zero)} ms`.padStart(10)}  ${text}`));
    }
  }

  #line(style: 'bold' | 'dim' | undefined, text: string): void {
    const line = `${(this.elapsed / 1_000).toFixed(1).padStart(5)} s  ${text}`;
    this.#screen.say(style === undefined ? line : this.#screen.paint(style, line));
  }
}
