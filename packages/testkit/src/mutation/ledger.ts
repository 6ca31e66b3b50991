// The oracle's own reading of a file: by JSON.parse and a canonical form of a
// few lines, so that a fault of the reader under test cannot hide itself.

/**
 * What a file's signatures are about: its `signed` member in canonical form;
 * `undefined` when it has none that can be read.
 */
export function signedText(file: Uint8Array): string | undefined {
  return readingOf(file).signed;
}

/** The version that a file says it has; 0 when it says none. */
export function versionIn(file: Uint8Array): number {
  return readingOf(file).version;
}

interface Reading {
  readonly signed: string | undefined;
  readonly version: number;
}

/** Most files that a judge sees are the same ones again. */
function readingOf(file: Uint8Array): Reading {
  const text = Buffer.from(file.buffer, file.byteOffset, file.byteLength).toString('latin1');
  const known = readings.get(text);
  if (known !== undefined) return known;
  if (readings.size >= REMEMBERED) readings.clear();
  const signed = memberOf(file, 'signed');
  const version: unknown = isRecord(signed) ? signed['version'] : undefined;
  const reading = { signed: canonicalOf(signed), version: typeof version === 'number' ? version : 0 };
  readings.set(text, reading);
  return reading;
}

function canonicalOf(signed: unknown): string | undefined {
  try {
    return signed === undefined ? undefined : canonical(signed);
  } catch {
    return undefined; // deeper than this machine's stack: nobody may have believed it
  }
}

function memberOf(file: Uint8Array, name: string): unknown {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(file).toString('utf8'));
    return isRecord(parsed) ? parsed[name] : undefined;
  } catch {
    return undefined;
  }
}

function canonical(value: unknown): string {
  if (typeof value === 'string') return `"${value.replaceAll(/["\\]/g, '\\$&')}"`;
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (!isRecord(value)) return String(value);
  const names = Object.keys(value).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  return `{${names.map((name) => `${canonical(name)}:${canonical(value[name])}`).join(',')}}`;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const REMEMBERED = 512;
const readings = new Map<string, Reading>();
