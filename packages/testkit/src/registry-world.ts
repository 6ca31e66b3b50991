// A world in the registry's layout: an offline quorum for root, targets and
// the claimed shard; separate online keys for timestamp, snapshot, recent and
// unclaimed shards; owners with release roles below. The example that most
// attacks, and the gateway's tests, start from.

import { createHash } from 'node:crypto';
import {
  type JsonLiteral,
  ownerRoleName,
  type Project,
  projectDirectory,
  releaseRoleName,
  type ShardKind,
  shardName,
  shardPattern,
  shardPrefixes,
} from '@countersign/core';
import type { WorldKey } from './keys.ts';
import { npmTarball, type PackageFacts } from './tarball.ts';
import { START, World, type WorldOptions } from './world.ts';

/** One project of the example, and where everything of it is. */
export interface ExampleProject {
  readonly project: Project;
  readonly kind: ShardKind;
  /** Without a slash at its end. */
  readonly directory: string;
  /** The role that the shard delegates to. */
  readonly owner: string;
  /** The owner's release role. */
  readonly release: string;
  readonly facts: PackageFacts;
  /** The target path of its one file. */
  readonly path: string;
}

/** Claimed: delegated by the offline quorum to two owners, both of whom must sign; released by a third key. */
export const MS = example('claimed', { name: 'ms', version: '2.1.3' });
/** Recently claimed: delegated by an online key to one owner, who lists the file in the owner role itself. */
export const DEBUG = example('recent', { name: 'debug', version: '4.4.1', dependencies: { ms: '^2.1.3' } });
/** Claimed by nobody: the unclaimed shard lists the file itself. */
export const IS_ODD = example('unclaimed', { name: 'is-odd', version: '3.0.1' });

/** How a registry world differs from the default. */
export interface RegistryOptions extends WorldOptions {
  /** Shards are split by this many hex digits of the bin. Default: 0, one shard of each kind. */
  readonly shardDigits?: number;
}

/**
 * A published registry with the three example projects.
 *
 * Keys by name: `root-1` to `root-3` (two must sign; also targets and claimed
 * shards), `timestamp`, `snapshot`, `recent`, `unclaimed` (online),
 * `ms-owner-1`, `ms-owner-2`, `ms-release`, `debug-owner`.
 *
 * @example const world = registryWorld(); await clientDoor.open(world);
 */
export function registryWorld(options: RegistryOptions = {}): World {
  const world = new World(options);
  const quorum = quorumOf(world);
  world.authorise('targets', quorum, 2);
  for (const kind of ['claimed', 'recent', 'unclaimed'] as const) {
    const online = kind !== 'claimed';
    for (const prefix of shardPrefixes(options.shardDigits ?? 0)) {
      world.delegate('targets', shardName(kind, prefix), {
        keys: online ? [world.key(kind)] : quorum,
        threshold: online ? 1 : 2,
        paths: [shardPattern(prefix)],
        expires: START + (online ? 90 : 365) * 86_400_000,
      });
    }
  }
  const owners = ['ms-owner-1', 'ms-owner-2'].map((name) => world.key(name));
  addOwner(world, MS, owners, options.shardDigits);
  addRelease(world, MS, MS.release, world.key('ms-release'));
  addOwner(world, DEBUG, [world.key('debug-owner')], options.shardDigits);
  addPackage(world, DEBUG.owner, DEBUG.directory, DEBUG.facts);
  addPackage(world, shardOf(IS_ODD, options.shardDigits), IS_ODD.directory, IS_ODD.facts);
  world.publish();
  world.takeRequests();
  return world;
}

/** The offline quorum's keys. */
export function quorumOf(world: World): readonly WorldKey[] {
  return ['root-1', 'root-2', 'root-3'].map((name) => world.key(name));
}

/** The shard that an example project falls into. */
export function shardOf({ kind, directory }: ExampleProject, digits = 0): string {
  return shardName(kind, (directory.split('/')[1] ?? '').slice(0, digits));
}

/** Lists a package in a role: the tarball, its index entry, and `latest` in the role's pointers. */
export function addPackage(
  world: World,
  role: string,
  directory: string,
  facts: PackageFacts,
  source?: string,
): string {
  const path = `${directory}/${facts.name}-${facts.version}.tgz`;
  const { name, version, dependencies = {} } = facts;
  // As the ecosystem derives it: no member for nothing.
  const entry: JsonLiteral = { name, version, ...(Object.keys(dependencies).length > 0 && { dependencies }) };
  world.addTarget(role, path, npmTarball(facts, source), { npm: entry });
  world.role(role).members.set('custom', { npm: { 'dist-tags': { latest: facts.version } } });
  return path;
}

function example(kind: ShardKind, facts: PackageFacts): ExampleProject {
  const project = { ecosystem: 'npm', name: facts.name, segment: facts.name };
  const directory = projectDirectory(project, (bytes) => createHash('sha256').update(bytes).digest());
  const owner = ownerRoleName(project, 1);
  const path = `${directory}/${facts.name}-${facts.version}.tgz`;
  return { project, kind, directory, owner, release: releaseRoleName(owner, 'ci'), facts, path };
}

function addOwner(world: World, project: ExampleProject, keys: readonly WorldKey[], digits: number | undefined): void {
  world.delegate(shardOf(project, digits), project.owner, {
    keys,
    threshold: keys.length,
    terminating: true,
    paths: [`${project.directory}/*`],
    listing: 'length', // a snapshot with one role per project must stay small
  });
}

function addRelease(world: World, project: ExampleProject, role: string, key: WorldKey): void {
  world.delegate(project.owner, role, { keys: [key], paths: [`${project.directory}/*`], listing: 'length' });
  addPackage(world, role, project.directory, project.facts);
}
