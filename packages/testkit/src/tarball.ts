// A package as npm packs it, small and always the same bytes: a gzipped tar
// with `package/package.json` and one source file.

import { gzipSync } from 'node:zlib';
import { concat, utf8 } from '@countersign/core';

/** What a package says of itself. */
export interface PackageFacts {
  readonly name: string;
  readonly version: string;
  readonly dependencies?: Readonly<Record<string, string>>;
}

/** Packs a package. The same facts always give the same bytes. */
export function npmTarball(
  facts: PackageFacts,
  source = `module.exports = '${facts.name}@${facts.version}';\n`,
): Uint8Array {
  const manifest = `${JSON.stringify({ ...facts, main: 'index.js', license: 'MIT' }, undefined, 2)}\n`;
  const tar = concat(entry('package/package.json', manifest), entry('package/index.js', source), new Uint8Array(1024));
  const packed = new Uint8Array(gzipSync(tar, { level: 9 }));
  packed[9] = 255; // RFC 1952 §2.3.1: the operating system, unknown, so that it is the same on all
  return packed;
}

function entry(path: string, text: string): Uint8Array {
  const content = utf8(text);
  const header = new Uint8Array(512);
  const put = (at: number, value: string): void => header.set(utf8(value), at);
  const octal = (at: number, width: number, value: number): void =>
    put(at, `${value.toString(8).padStart(width - 1, '0')}\0`);
  put(0, path);
  octal(100, 8, 0o644);
  octal(108, 8, 0);
  octal(116, 8, 0);
  octal(124, 12, content.length);
  octal(136, 12, 499_162_500); // the moment that npm writes for every file
  put(148, '        ');
  put(156, '0');
  put(257, 'ustar\0');
  put(263, '00');
  const sum = header.reduce((total, byte) => total + byte, 0);
  put(148, `${sum.toString(8).padStart(6, '0')}\0 `);
  return concat(header, content, new Uint8Array((512 - (content.length % 512)) % 512));
}
