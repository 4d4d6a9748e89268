/** The captured exchanges with the original, taken apart. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const FOLDER = fileURLToPath(new URL('../fixtures/wire/', import.meta.url));

export interface Message {
  readonly file: string;
  readonly kind: 'request' | 'response';
  readonly startLine: string;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/** Every HTTP message in every file, in order. */
export function capturedMessages(): Message[] {
  return readdirSync(FOLDER).flatMap(file =>
    messagesOf(file, readFileSync(FOLDER + file, 'utf8').replaceAll('\r\n', '\n')),
  );
}

function messagesOf(file: string, text: string): Message[] {
  const parts = text.split(/^=== (REQUEST|RESPONSE).*===\n/m).slice(1);
  return parts.flatMap((part, i) => {
    if (part !== 'REQUEST' && part !== 'RESPONSE') return [];
    const [head = '', ...rest] = (parts[i + 1] ?? '').split('\n\n');
    const [startLine = '', ...lines] = head.split('\n');
    const headers = new Map(
      lines.map((line): [string, string] => [name(line), line.slice(line.indexOf(':') + 1).trim()]),
    );
    return [
      { file, kind: part === 'REQUEST' ? 'request' : 'response', startLine, headers, body: rest.join('\n\n').trim() },
    ];
  });
}

function name(line: string): string {
  return line.slice(0, line.indexOf(':')).toLowerCase();
}
