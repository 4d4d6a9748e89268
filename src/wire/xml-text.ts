/** Which characters an XML 1.0 document can carry at all: not most control characters, nor half of a surrogate pair. */

const ILLEGAL = /[^\t\n\r\u{20}-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]/u;
const EVERY_ILLEGAL = new RegExp(ILLEGAL, 'gu');

/** Whether XML can carry the text. */
export function isLegalText(text: string): boolean {
  return !ILLEGAL.test(text);
}

/** The text with U+FFFD for each character that XML cannot carry: for words that must reach a reader in any case. */
export function legalText(text: string): string {
  return isLegalText(text) ? text : text.replace(EVERY_ILLEGAL, '\uFFFD');
}
