// `countersign release-key`: keys that may publish, and nothing else, such as
// the one of a build service. The owners add and remove them at once, by their
// own threshold, in plain TUF: nobody else is asked.

import { resolve } from 'node:path';
import {
  AdmissionError,
  type DelegatedRole,
  editTargets,
  type Key,
  type KeyId,
  releaseRoleName,
  type Signer,
  UsageError,
} from '@countersign/core';
import { projectOf } from '@countersign/ecosystems';
import { AUTHOR_LIFETIME, type RoleDraft } from '../author.ts';
import { openAuthorKey } from '../author-key.ts';
import type { Context } from '../context.ts';
import { knownCollection } from '../decide.ts';
import { counted } from '../output.ts';
import { readPublicKey } from '../public-key.ts';
import { publishRoles } from '../publish-roles.ts';
import { ownerOf } from '../trusted-collection.ts';
import { signersFor } from './owners.ts';

/** What both may be told. */
export interface ReleaseKeyOptions {
  /** The label of the release role; one label may hold several keys. */
  readonly label: string;
  readonly with?: readonly string[];
}

/**
 * Adds or removes a release key.
 *
 * @param key a public key file to add; the beginning of a key id to remove
 * @throws AdmissionError NAME_UNCLAIMED; UsageError; whatever client and service give
 */
export async function releaseKey(
  context: Context,
  act: 'add' | 'remove',
  name: string,
  key: string,
  { label, with: more = [] }: ReleaseKeyOptions,
): Promise<void> {
  const project = projectOf(name);
  if (!/^[a-z0-9-]{1,32}$/.test(label)) {
    throw new UsageError(
      'USAGE_INVALID',
      'Reading --label: 1 to 32 lower-case letters, digits and hyphens are allowed',
    );
  }
  const known = await knownCollection(context);
  const owner = await ownerOf(known.client, project);
  if (owner === undefined)
    throw new AdmissionError('NAME_UNCLAIMED', `Changing release keys of ${name}: nobody has claimed it`);
  const signers = await signersFor(context, known, project, more);
  const role = releaseRoleName(owner.authority.name, label);
  const present = owner.role.delegations ?? { keys: new Map<KeyId, Key>(), roles: [], succinct: undefined };
  const before = present.roles.find((one) => one.name === role);
  const keys = new Map(present.keys);
  const keyIds = new Set(before?.keyIds ?? []);
  if (act === 'add') {
    const added = await readPublicKey(resolve(context.shell.cwd, key));
    keys.set(added.keyId, added.key);
    keyIds.add(added.keyId);
  } else {
    const hits = [...keyIds].filter((id) => id.startsWith(key));
    if (hits.length !== 1 || key.length < 4) {
      throw new UsageError(
        'USAGE_INVALID',
        `Removing a release key: ${key.slice(0, 80)} is the beginning of ${hits.length} keys of ${label}`,
        {
          detail: {
            keys: [...keyIds],
            next: 'Give four or more characters that only one key begins with, and its --label',
          },
        },
      );
    }
    for (const id of hits) keyIds.delete(id);
  }
  const others = present.roles.filter((one) => one.name !== role);
  const files = [...owner.files.values()].filter(({ trail }) => trail.at(-1) === role).map(({ target }) => target);
  const expires = context.shell.clock() + AUTHOR_LIFETIME;
  const used = new Set([...others.flatMap((one) => one.keyIds), ...keyIds]);
  const kept = new Map([...keys].filter(([id]) => used.has(id)));
  const paths = { by: 'pattern', patterns: [`${owner.directory}/*`] } as const;
  const delegated: DelegatedRole = { name: role, keyIds: [...keyIds], threshold: 1, terminating: false, paths };
  const gone = keyIds.size === 0;
  const signed = editTargets(owner.role, {
    expires,
    delegations: { keys: kept, roles: gone ? others : [...others, delegated], succinct: undefined },
    // What the role listed stays: the owners list it themselves from now on.
    ...(gone && { set: files }),
  });
  const drafts: RoleDraft[] = [
    { role: owner.authority.name, authority: owner.authority, previous: owner.role, signed },
  ];
  if (!gone) {
    // A release role must verify under the keys that are named now, from the first moment on.
    const previous = known.client.trusted.memo.get(role)?.role.content;
    const authority = { keys: kept, role: delegated, name: role };
    drafts.push({ role, authority, previous, signed: editTargets(previous, { expires }) });
  }
  const all = [...signers, ...(await releaseSigners(context, more, keyIds))];
  const { publication, event } = await publishRoles(context, drafts, all, `change the release keys of ${name}`);
  context.output.result(
    { project: name, role, keys: [...keyIds], publication: publication ?? null, event: event ?? null },
    [
      publication === undefined
        ? `The release keys of ${name} change as soon as everybody has signed.`
        : `${gone ? `No key of ${label}` : `${counted(keyIds.size, 'key')} of ${label}`} may publish ${name} from now on.`,
    ],
  );
}

/** Release keys at hand, which sign their role. */
async function releaseSigners(
  { shell }: Pick<Context, 'shell'>,
  files: readonly string[],
  keyIds: ReadonlySet<KeyId>,
): Promise<readonly Signer[]> {
  const signers = await Promise.all(files.map((file) => openAuthorKey(resolve(shell.cwd, file), shell)));
  return signers.filter(({ keyId }) => keyIds.has(keyId));
}
