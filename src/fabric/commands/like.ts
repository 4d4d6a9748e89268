/** SQL's LIKE, as the patterns of the dump commands have it. Walks both texts without backtracking into what matched: no pattern is slow. */

type Token = { readonly kind: 'any' } | { readonly kind: 'one' } | { readonly kind: 'text'; readonly text: string };

/** Whether a name matches `%pattern%`: `%` is any text, `_` any character, backslash takes the next one as it is; case does not matter. */
export function likePattern(pattern: string): (name: string) => boolean {
  const lower = pattern.toLowerCase();
  if (!/[%_\\]/.test(lower)) return name => name.toLowerCase().includes(lower);
  const tokens = tokenize(`%${lower}%`);
  const needed = tokens.filter(({ kind }) => kind !== 'any').length;
  return name => needed <= name.length && matches(tokens, name.toLowerCase());
}

function tokenize(pattern: string): Token[] {
  // Many `%` in a row are as good as one.
  const parts = pattern.match(/\\[\s\S]|%+|[\s\S]/g) ?? [];
  return parts.map(part => {
    if (part.startsWith('%')) return { kind: 'any' };
    if (part === '_') return { kind: 'one' };
    return { kind: 'text', text: part.length > 1 ? part.slice(1) : part };
  });
}

/** On a mismatch only the latest `%` is made longer: what came before it can stay as it is. */
function matches(tokens: readonly Token[], name: string): boolean {
  let token = 0;
  let at = 0;
  let retry: { token: number; at: number } | undefined;
  while (at < name.length) {
    const current = tokens[token];
    if (current?.kind === 'any') {
      token += 1;
      retry = { token, at };
    } else if (current?.kind === 'one' || current?.text === name[at]) {
      token += 1;
      at += 1;
    } else if (retry) {
      retry.at += 1;
      ({ token, at } = retry);
    } else {
      return false;
    }
  }
  return tokens.slice(token).every(rest => rest.kind === 'any');
}
