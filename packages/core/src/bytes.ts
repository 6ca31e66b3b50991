// Text and number forms of bytes: UTF-8, hexadecimal, base64. Pure.
// TextEncoder and TextDecoder are declared here because every JavaScript
// runtime has them while core compiles without any platform's types.

declare class TextDecoder {
  constructor(label: 'utf-8', options: { fatal: true; ignoreBOM: true });
  decode(bytes: Uint8Array): string;
}
declare class TextEncoder {
  encode(text: string): Uint8Array<ArrayBuffer>;
}

/** Encodes text as UTF-8. */
export function utf8(text: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(text);
}

/** Decodes UTF-8; `undefined` if the bytes are not well-formed UTF-8. A byte order mark is kept. */
export function utf8Text(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}

/** Encodes bytes as lower-case hexadecimal. */
export function hex(bytes: Uint8Array): string {
  const { length } = bytes;
  if (length > HEX_AT_ONCE) return hex(bytes.subarray(0, HEX_AT_ONCE)) + hex(bytes.subarray(HEX_AT_ONCE));
  // Made in one piece: a digest that was put together pair by pair would keep all its pieces in memory.
  const units: number[] = [];
  for (const byte of bytes) units.push(hexDigit(byte >> 4), hexDigit(byte & 15));
  return String.fromCharCode(...units);
}

function hexDigit(value: number): number {
  return value < 10 ? 0x30 + value : 0x57 + value;
}

/** Decodes hexadecimal of either case; `undefined` if it is not that. */
export function hexBytes(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text)) return undefined;
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}

/** Encodes bytes as padded standard base64 (RFC 4648 §4). */
export function base64(bytes: Uint8Array): string {
  let text = '';
  for (let i = 0; i < bytes.length; i += 3) {
    const [a = 0, b, c] = bytes.subarray(i, i + 3);
    text += BASE64.charAt(a >> 2);
    text += BASE64.charAt(((a & 3) << 4) | ((b ?? 0) >> 4));
    text += b === undefined ? '=' : BASE64.charAt(((b & 15) << 2) | ((c ?? 0) >> 6));
    text += c === undefined ? '=' : BASE64.charAt(c & 63);
  }
  return text;
}

/** Decodes padded standard base64 without white space; `undefined` if it is not exactly that. */
export function base64Bytes(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return undefined;
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  let at = 0;
  for (let i = 0; i < text.length; i += 4) {
    let group = 0;
    for (let j = 0; j < 4; j++) group = group * 64 + Math.max(0, BASE64.indexOf(text.charAt(i + j)));
    for (let shift = 16; shift >= 0 && at < bytes.length; shift -= 8) bytes[at++] = (group >> shift) & 255;
  }
  return base64(bytes) === text ? bytes : undefined;
}

/** Joins byte strings. */
export function concat(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

/** Tells whether two byte strings are equal. Not constant-time: for public data only. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  // Snapshots have megabytes, and are compared at every refresh: by words, where words begin.
  const aligned = a.byteOffset % 4 === 0 && b.byteOffset % 4 === 0;
  const words = aligned ? a.length >> 2 : 0;
  return sameItems(wordsOf(a, words), wordsOf(b, words), 0) && sameItems(a, b, words * 4);
}

function wordsOf({ buffer, byteOffset }: Uint8Array, count: number): Int32Array {
  return count === 0 ? NO_WORDS : new Int32Array(buffer, byteOffset, count);
}

function sameItems<T extends Uint8Array | Int32Array>(a: T, b: T, from: number): boolean {
  for (let i = from; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const NO_WORDS = new Int32Array(0);
/** In bytes: longer ones are made in pieces. */
const HEX_AT_ONCE = 1024;
const BASE64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
