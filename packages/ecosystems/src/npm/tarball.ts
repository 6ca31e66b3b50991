// A package tarball, read as npm unpacks it: gunzip, first path component
// stripped, links left out. Gives package.json and the few facts about other
// files that the index entry needs. Hostile input costs at most the limits
// below; nothing is written anywhere.

import { once } from 'node:events';
import { createGunzip } from 'node:zlib';
import { refuse, type TarEntry, TarScanner } from './tar.ts';

/** What a tarball may cost to read. Bytes and counts. */
export interface TarballLimits {
  readonly packedBytes: number;
  readonly unpackedBytes: number;
  readonly entries: number;
  readonly manifestBytes: number;
  /** Unpacked over packed bytes, once `ratioFrom` bytes came out. */
  readonly ratio: number;
  readonly ratioFrom: number;
  readonly pathBytes: number;
  /** Sum of the lengths of all paths: they are kept until package.json is known. */
  readonly allPathsBytes: number;
}

/** Defaults: several times the largest packages in use. */
export const TARBALL_LIMITS: TarballLimits = {
  packedBytes: 256 * 1024 * 1024,
  unpackedBytes: 512 * 1024 * 1024,
  entries: 100_000,
  manifestBytes: 1024 * 1024,
  ratio: 300, // real packages reach about 30; deflate can do 1,030
  ratioFrom: 16 * 1024 * 1024,
  pathBytes: 4096,
  allPathsBytes: 16 * 1024 * 1024,
};

/** What a tarball holds, as far as an index entry is concerned. */
export interface Tarball {
  /** The bytes of the root's package.json. */
  readonly manifest: Uint8Array;
  /** Regular files, relative to the package's root, in order of appearance. */
  readonly files: readonly string[];
}

/**
 * Reads a tarball. Errors of the byte source pass through unchanged.
 *
 * @throws AdmissionError ENTRY_INVALID with `problem` in `detail`
 */
export async function readTarball(
  bytes: Uint8Array | AsyncIterable<Uint8Array>,
  limits: TarballLimits = TARBALL_LIMITS,
): Promise<Tarball> {
  const contents = new Contents(limits);
  const scanner = new TarScanner((entry) => contents.visit(entry), limits.entries);
  for await (const chunk of unpacked(bytes, limits)) scanner.push(chunk);
  scanner.end();
  return contents.close();
}

class Contents {
  private readonly limits: TarballLimits;
  private readonly files: string[] = [];
  private manifest: Uint8Array | undefined;
  private manifestSeen = false;
  private pathBytes = 0;

  constructor(limits: TarballLimits) {
    this.limits = limits;
  }

  visit(entry: TarEntry): ((content: Uint8Array) => void) | undefined {
    const { path, kind } = entry;
    this.pathBytes += path.length;
    if (path.length > this.limits.pathBytes) refuse('a path is too long', { limit: this.limits.pathBytes });
    if (this.pathBytes > this.limits.allPathsBytes) refuse('its paths are too long together');
    requireInside(path);
    const inside = insidePath(path);
    const isManifest = inside.length === 1 && looksLikeManifest(inside[0] ?? '');
    if (kind === 'symlink' || kind === 'hardlink') {
      if (isManifest) refuse('its package.json is a link');
      requireLinkInside(entry, inside);
      return undefined; // npm does not unpack links
    }
    if (kind === 'directory') return undefined;
    if (inside.length > 0) this.files.push(inside.join('/'));
    return isManifest ? this.keepManifest(entry, inside[0] ?? '') : undefined;
  }

  close(): Tarball {
    if (this.manifest === undefined) refuse('it has no package.json');
    return { manifest: this.manifest, files: this.files };
  }

  private keepManifest(entry: TarEntry, name: string): (content: Uint8Array) => void {
    // Which of two wins depends on the reader and on the disk.
    if (this.manifestSeen) refuse('it has more than one package.json');
    this.manifestSeen = true;
    if (name !== 'package.json') refuse('its package.json is written in another way', { name });
    const limit = this.limits.manifestBytes;
    if (entry.size > limit) refuse('its package.json is too large', { limit, got: entry.size });
    return (content) => {
      this.manifest = content;
    };
  }
}

// Disks that ignore case, or fold or drop characters, would make it package.json.
function looksLikeManifest(name: string): boolean {
  const folded = name
    .normalize('NFKC')
    .replace(/\p{Default_Ignorable_Code_Point}/gu, '')
    .toLowerCase()
    .replace(/[. ]+$/, '');
  return folded === 'package.json';
}

function requireInside(path: string): void {
  if (path === '') refuse('an entry has no name');
  if (/^(?:[\\/]|[A-Za-z]:)/.test(path)) refuse('a path is absolute', { path: path.slice(0, 200) });
  if (path.split(/[\\/]/).includes('..')) refuse('a path leads out of the package', { path: path.slice(0, 200) });
}

// npm drops exactly the first component, whatever it is called.
function insidePath(path: string): readonly string[] {
  return path
    .split('/')
    .slice(1)
    .filter((segment) => segment !== '' && segment !== '.');
}

function requireLinkInside(entry: TarEntry, inside: readonly string[]): void {
  const target = entry.linkTarget;
  const leaves = { path: entry.path.slice(0, 200), target: target.slice(0, 200) };
  if (target === '' || /^(?:[\\/]|[A-Za-z]:)/.test(target)) refuse('a link leads out of the package', leaves);
  // A hard link names an entry of the archive, a symbolic link starts at its own folder.
  let depth = entry.kind === 'hardlink' ? 0 : inside.length - 1;
  for (const segment of target.split(/[\\/]/)) {
    if (segment === '..') depth--;
    else if (segment !== '' && segment !== '.') depth++;
    if (depth < 0) refuse('a link leads out of the package', leaves);
  }
}

async function* unpacked(
  bytes: Uint8Array | AsyncIterable<Uint8Array>,
  limits: TarballLimits,
): AsyncGenerator<Uint8Array> {
  const gunzip = createGunzip({ chunkSize: CHUNK });
  const counted = { packed: 0, unpacked: 0 };
  let sourceFailure: { readonly error: unknown } | undefined;
  const feeding = feed(gunzip, inPieces(bytes), counted, limits).catch((error: unknown) => {
    sourceFailure = { error };
    gunzip.destroy();
  });
  try {
    for await (const chunk of gunzip) {
      counted.unpacked += chunk.length;
      requireModest(counted, limits);
      yield chunk;
    }
  } catch (error) {
    if (isZlibFailure(error)) refuse('it is not gzip, or is cut or damaged', { zlib: error.code });
    if (sourceFailure === undefined) throw error;
  } finally {
    gunzip.destroy();
    await feeding;
  }
  if (sourceFailure !== undefined) throw sourceFailure.error;
}

// Writes with back pressure, and lets the source go when the reader has gone.
async function feed(
  gunzip: ReturnType<typeof createGunzip>,
  pieces: AsyncIterable<Uint8Array>,
  counted: { packed: number },
  limits: TarballLimits,
): Promise<void> {
  const closed = once(gunzip, 'close').catch(() => undefined);
  for await (const piece of pieces) {
    if (gunzip.destroyed) return;
    counted.packed += piece.length;
    if (counted.packed > limits.packedBytes) refuse('it is too large', { limit: limits.packedBytes });
    if (!gunzip.write(piece)) await Promise.race([once(gunzip, 'drain').catch(() => undefined), closed]);
  }
  gunzip.end();
}

function requireModest(counted: { packed: number; unpacked: number }, limits: TarballLimits): void {
  if (counted.unpacked > limits.unpackedBytes) {
    refuse('it unpacks to more than is allowed', { limit: limits.unpackedBytes });
  }
  if (counted.unpacked > limits.ratioFrom && counted.unpacked > limits.ratio * counted.packed) {
    refuse('it unpacks to suspiciously much', { limit: limits.ratio });
  }
}

async function* inPieces(bytes: Uint8Array | AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  if (!(bytes instanceof Uint8Array)) {
    yield* bytes;
    return;
  }
  for (let at = 0; at < bytes.length; at += CHUNK) yield bytes.subarray(at, at + CHUNK);
}

function isZlibFailure(error: unknown): error is Error & { readonly code: string } {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && error.code.startsWith('Z_');
}

const CHUNK = 64 * 1024;
