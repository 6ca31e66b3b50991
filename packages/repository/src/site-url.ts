// The names that a site's files have in a folder or a bucket, and the URLs that
// clients ask for: a web server decodes what it is asked, so the name is the
// URL decoded. The only place of this package where one becomes the other; no
// name leads out of `metadata/` and `targets/`.

import { metadataUrl, requireTargetPath, targetUrl, UsageError } from '@countersign/core';
import type { BlobFacts } from './ports.ts';

/**
 * The name of the file behind a URL below the site.
 *
 * @throws UsageError USAGE_INVALID when no file of a site can have it
 * @example siteName('targets/pkg/%40s/x') // 'targets/pkg/@s/x'
 */
export function siteName(url: string): string {
  const name = decoded(url);
  if (name !== undefined && isName(name) && siteUrl(name) === url) return name;
  throw new UsageError('USAGE_INVALID', 'Addressing a file of the site: no file can have that URL', {
    detail: { url: url.slice(0, 200) },
  });
}

/** The URL of a file by its name: the inverse of {@link siteName}. */
export function siteUrl(name: string): string {
  const [folder = '', ...rest] = name.split('/');
  // A role's file is one segment, whatever the role is called.
  const segments = folder === 'metadata' && name.endsWith('.json') ? [rest.join('/')] : rest;
  return [folder, ...segments.map(encoded)].join('/');
}

/** The name of a role's file; without `version` the plain one. @throws as {@link siteName} */
export function roleFileName(role: string, version: number | undefined): string {
  return siteName(`metadata/${metadataUrl(role, version)}`);
}

/** The names under which a target is shown: one for each digest. @throws as {@link siteName} */
export function targetNames(path: string, { sha256, sha512 }: Pick<BlobFacts, 'sha256' | 'sha512'>): readonly string[] {
  return [sha256, sha512].map((digest) => siteName(`targets/${targetUrl(requireTargetPath(path), digest)}`));
}

function isName(name: string): boolean {
  const [folder, ...rest] = name.split('/');
  const inside = folder === 'metadata' || folder === 'targets';
  return inside && rest.length > 0 && !rest.some((segment) => NOT_A_SEGMENT.includes(segment)) && !FORBIDDEN.test(name);
}

function decoded(url: string): string | undefined {
  try {
    return decodeURIComponent(url);
  } catch {
    return undefined;
  }
}

// As core encodes every segment.
function encoded(segment: string): string {
  return metadataUrl(segment, undefined).slice(0, -'.json'.length);
}

const NOT_A_SEGMENT: readonly string[] = ['', '.', '..'];
const FORBIDDEN = /[\u0000-\u001f\u007f\\\p{Cs}]/u;
