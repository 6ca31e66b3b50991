// Answers to each route: index pages derived from what authors signed, and
// files that were verified in full. Every answer says who vouches for it;
// whatever cannot be vouched for is thrown, and refusal.ts words it.

import { sha256 } from '@countersign/client/node';
import { type Found, isObject, type Listing, MetadataError, type Project, projectDirectory } from '@countersign/core';
import {
  type Packument,
  packumentOf,
  type RegistryRoute,
  readDistTags,
  readYanks,
  tarballPath,
} from '@countersign/ecosystems';
import { type Answer, documentAnswer, jsonAnswer } from './answer.ts';
import type { ArtifactStore } from './artifact-store.ts';
import { ASSURANCE_HEADER, assuranceOf, weakest } from './assurance.ts';
import type { Collection, Unlisted } from './collection.ts';
import { requireEntry } from './index-entry.ts';
import { type OwnerChange, sentenceOf } from './known-owners.ts';
import type { Relay } from './relay.ts';
import type { Route } from './routes.ts';
import { health, why } from './why.ts';

/** What answers are made from. */
export interface Sources {
  readonly collection: Collection;
  readonly store: ArtifactStore;
  /** Where names go that the collection does not cover; `undefined` refuses them. */
  readonly relay: Relay | undefined;
}

/**
 * Answers one request.
 *
 * @param origin the gateway's address as the caller wrote it, such as `http://localhost:7411`
 * @throws TufError for every reason not to
 */
export async function answerTo(route: Route, origin: string, sources: Sources): Promise<Answer> {
  switch (route.to) {
    case 'health':
      return await health(sources.collection);
    case 'why':
      return await why(sources.collection, route.path);
    case 'target':
      return await artifact(await listed(route.path, route.path, sources), sources);
    case 'file': {
      const name = `files/${route.project.name}`;
      return await artifact(await listed(`${directoryOf(route.project)}/${route.file}`, name, sources), sources);
    }
    case 'npm':
      return await npmAnswer(route.npm, `${origin}/npm`, sources);
  }
}

async function npmAnswer(route: RegistryRoute, base: string, sources: Sources): Promise<Answer> {
  switch (route.kind) {
    case 'ping':
      await sources.collection.freshness.current(); // `npm ping` tells whether the collection can be used
      return jsonAnswer(200, {});
    case 'advisories':
      return NO_ADVISORIES;
    case 'packument':
      return await npmIndex(route.project, base, sources);
    case 'version':
      return await npmVersion(route.project, route.selector, base, sources);
    case 'dist-tags': {
      const { packument, listing } = await npmPackument(route.project, base, sources);
      return documentAnswer(packument['dist-tags'], labelled(route.project, listing, sources));
    }
    case 'tarball': {
      const found = await sources.collection.find(`${directoryOf(route.project)}/${route.file}`);
      if ('unlisted' in found) return await relayFor(found, route.project, sources).file(route.project, route.version);
      requireEntry(found.target, 'npm');
      return await artifact(found, sources);
    }
  }
}

async function npmIndex(project: Project, base: string, sources: Sources): Promise<Answer> {
  const listing = await sources.collection.list(directoryOf(project));
  if ('unlisted' in listing) return await relayFor(listing, project, sources).index(project, base);
  return documentAnswer(derived(project, listing, base, sources), labelled(project, listing, sources));
}

/** One version's manifest, by version or dist-tag, as a few tools ask for it. */
async function npmVersion(project: Project, selector: string, base: string, sources: Sources): Promise<Answer> {
  for (let again = false; ; again = true) {
    const { packument, listing } = await npmPackument(project, base, sources);
    const { versions, 'dist-tags': tags } = packument; // neither has a prototype
    const manifest = versions[tags[selector] ?? selector];
    if (manifest !== undefined) return documentAnswer(manifest, labelled(project, listing, sources));
    if (again) break;
    await sources.collection.freshness.anew(); // it may have been published a moment ago
  }
  throw new MetadataError('TARGET_UNKNOWN', `Looking for ${project.name} ${selector}: no trusted role lists it`, {
    detail: { name: project.name, version: selector },
  });
}

async function npmPackument(
  project: Project,
  base: string,
  sources: Sources,
): Promise<{ packument: Packument; listing: Listing }> {
  const listing = await sources.collection.list(directoryOf(project));
  if ('unlisted' in listing) throw unlisted(project.name);
  return { packument: derived(project, listing, base, sources), listing };
}

function derived(project: Project, listing: Listing, base: string, { store }: Sources): Packument {
  const { packument } = packumentOf({
    project,
    versions: listing.found.values(),
    distTags: distTagsOf(listing),
    yanks: yanksOf(listing),
    tarballUrl: (file) => `${base}/${tarballPath(project, file)}`,
    withheld: store.withheldOf(project, listing),
  });
  return packument;
}

/**
 * The author's pointers, out of the roles that speak for this project alone.
 * Where several set one, the earlier in order of trust counts: a release key
 * cannot turn around what the owner has set.
 */
function distTagsOf({ owners }: Listing): ReadonlyMap<string, string> {
  const tags = new Map<string, string>();
  for (const { content } of owners) {
    const custom = content.json.get('custom');
    for (const [tag, version] of readDistTags(isObject(custom) ? custom : undefined)) {
      if (!tags.has(tag)) tags.set(tag, version);
    }
  }
  return tags;
}

/** What any role that speaks for this project yanks: a release key may warn, too. */
function yanksOf({ owners }: Listing): ReadonlyMap<string, string> {
  const yanks = new Map<string, string>();
  for (const { content } of owners) {
    const custom = content.json.get('custom');
    for (const [version, reason] of readYanks(isObject(custom) ? custom : undefined, 'npm')) yanks.set(version, reason);
  }
  return yanks;
}

async function listed(path: string, name: string, { collection }: Sources): Promise<Found> {
  const found = await collection.find(path);
  if ('unlisted' in found) throw unlisted(name);
  return found;
}

async function artifact(found: Found, { store, collection }: Sources): Promise<Answer> {
  const { handle, length, etag } = await store.open(found);
  return {
    status: 200,
    headers: {
      'content-type': 'application/octet-stream',
      'cache-control': 'no-cache',
      'x-content-type-options': 'nosniff',
      [ASSURANCE_HEADER]: assuranceOf(found.trail),
      ...noticeOf(collection.changeOf(found.target.path.slice(0, found.target.path.lastIndexOf('/')))),
    },
    body: { kind: 'file', handle, length },
    etag,
  };
}

function relayFor({ complete }: Unlisted, project: Project, { relay }: Sources): Relay {
  // Where hash bins keep absence from being proven, nothing may come from elsewhere.
  if (relay !== undefined && complete) return relay;
  throw unlisted(project.name);
}

function unlisted(name: string): MetadataError {
  return new MetadataError('NAME_UNLISTED', `Looking for ${name}: no trusted role speaks for it`, { detail: { name } });
}

function labelled(project: Project, listing: Listing, { collection }: Sources): Readonly<Record<string, string>> {
  const trails = [...listing.found.values(), ...listing.owners].map(({ trail }) => trail);
  const notice = noticeOf(collection.changeOf(directoryOf(project)), project);
  return { [ASSURANCE_HEADER]: weakest(trails.map(assuranceOf)), ...notice };
}

/** What npm prints and other tools can log, where a name has owners whom the old ones did not appoint. */
function noticeOf(change: OwnerChange | undefined, project?: Project): Readonly<Record<string, string>> {
  if (change === undefined) return {};
  const name = project === undefined ? change.directory : `${project.ecosystem}/${project.name}`;
  const text = `Countersign: ${name} has new owners: ${sentenceOf(change)}. If you expected this: countersign trust ${name}`;
  return { 'npm-notice': text.replace(/[^\x20-\x7e]/g, '?').slice(0, 300), 'x-tuf-owners': change.change };
}

function directoryOf(project: Project): string {
  return projectDirectory(project, sha256);
}

// An empty list of advisories would tell the user that there are none. npm
// takes this answer as "no audit here" and goes on with its installation.
const NO_ADVISORIES: Answer = jsonAnswer(404, {
  error: 'Countersign serves no security advisories',
  code: 'ADVISORIES_ABSENT',
});
