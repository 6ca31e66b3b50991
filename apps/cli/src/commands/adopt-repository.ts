// `countersign adopt-repository`: somebody else's TUF repository becomes a plain
// collection here. Its own keys sign one last root, which names ours; whoever
// trusted it goes on without noticing. Run it again until nobody is missing.
// `countersign sign-root`: what those who hold its keys do.

import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { nodeCrypto } from '@countersign/client/node';
import {
  canonicalBytes,
  days,
  drive,
  type JsonObject,
  openEnvelope,
  readRoot,
  StoreError,
  sameBytes,
  signFile,
  start,
  topLevelAuthority,
  UsageError,
} from '@countersign/core';
import { type BinsForm, DEFAULT_LIFETIMES } from '@countersign/repository';
import { draftTakeover, type Foreign, readForeign, takeoverAuthorities } from '@countersign/repository/operations';
import { fillTakeoverFolder, requireCollectionName, takeoverKeys } from '@countersign/server';
import { exists } from '../author-key.ts';
import type { Context } from '../context.ts';
import { type ForeignPlaces, openForeign } from '../foreign-source.ts';
import { binBits } from '../layout-options.ts';
import { collectionFolder, hasCollection, makeState } from '../local-collections.ts';
import { columns } from '../output.ts';
import { collectionPassphrases, writePrivately } from '../passphrases.ts';
import { keyLines } from '../quorum-lines.ts';
import { shownPath } from '../shell.ts';
import { readRootFile, signedWith, talliesOf, tallyLines, withCopies, withGiven } from '../takeover-root.ts';
import { readAnchor } from '../trusted-collection.ts';

/** What `adopt-repository` is told. */
export interface AdoptRepositoryOptions extends ForeignPlaces {
  /** Key files of theirs that are at hand. */
  readonly signWith?: readonly string[];
  /** Copies of the draft that others have signed. */
  readonly signed?: readonly string[];
  readonly bins: string;
  readonly succinct?: boolean;
  readonly dev?: boolean;
}

/** What `sign-root` is told. */
export interface SignRootOptions {
  readonly signWith?: readonly string[];
  readonly signature?: readonly string[];
  readonly bytes?: string;
}

/** Takes a repository over, as far as signatures are there. @throws MetadataError; SignerError; UsageError; StoreError */
export async function adoptRepository(
  context: Context,
  place: string,
  name: string,
  options: AdoptRepositoryOptions,
): Promise<void> {
  const { config, shell, output } = context;
  requireCollectionName(name);
  if (await hasCollection(config, name)) {
    throw new UsageError('COLLECTION_EXISTS', `Taking over ${name}: there is a collection of this name`);
  }
  const form: BinsForm = options.succinct === true ? 'succinct' : 'classic';
  const bitLength = binBits(options.bins, form);
  const anchor = await readAnchor(config.root);
  const source = openForeign(place, options, shell);
  await makeState(config);
  const progress = output.progress(`Reading ${place}`);
  const foreign = await readForeign(source, anchor, nodeCrypto).finally(() => progress.end());
  const folder = join(config.state, 'collections', `.adopting-${name}`);
  const mode = options.dev ? 'development' : (await exists(join(folder, 'keys'))) ? 'open' : 'choose';
  const keys = await takeoverKeys(folder, collectionPassphrases(folder, shell, mode));
  const draft = join(config.state, `${name}.takeover.root.json`);
  const offered =
    (await keptDraft(draft, (expires) => draftTakeover(foreign, keys, expires), shell.clock())) ??
    (await signFile(draftTakeover(foreign, keys, shell.clock() + DEFAULT_LIFETIMES.offline), keys.offline));
  const copied = await withCopies(offered, options.signed ?? [], shell);
  const authorities = takeoverAuthorities(foreign, copied);
  const root = await signedWith(copied, options.signWith ?? [], authorities, shell);
  await writeFile(draft, root);
  const tallies = talliesOf(root, authorities);
  for (const line of foreignLines(foreign, root, shell.clock())) output.note(line);
  if (tallies.some(({ met }) => !met)) {
    output.result({ collection: name, draft, root: null, signatures: tallies }, [
      `The root that names your keys waits for signatures, in ${shownPath(draft, shell)}:`,
      ...tallyLines(tallies),
      '',
      'Who holds a key of theirs signs it, and hands the file back:',
      `  countersign sign-root ${shownPath(draft, shell)} --sign-with <key file> --root <the root that they trust>`,
      'Then run this again, with --signed <files>.',
    ]);
    return;
  }
  const filling = output.progress(`Taking over ${name}`);
  const { taken, token } = await fillTakeoverFolder({
    folder,
    name,
    source,
    foreign,
    root,
    keys,
    layout: { bitLength, form },
    clock: shell.clock,
    onProgress: (step, done, total) => filling.step(step, done, total),
  }).finally(() => filling.end());
  const final = collectionFolder(config, name);
  const rootFile = join(config.state, `${name}.root.json`);
  const tokenFile = join(config.state, `${name}.token`);
  await writePrivately(tokenFile, `${token}\n`);
  if (!(await exists(rootFile))) await writeFile(rootFile, anchor);
  await rename(folder, final).catch((cause: unknown) => {
    throw new StoreError('STORE_WRITE', `Taking over ${name}: its folder cannot be put into place`, { cause });
  });
  await rm(draft, { force: true });
  output.result({ collection: name, draft: null, ...taken }, [
    `Took over ${place} as ${name}: root ${taken.root} names your keys.`,
    ...columns([
      ['collection', shownPath(final, shell)],
      ['token', `${shownPath(tokenFile, shell)}: whoever has it may submit`],
      ['roles carried', taken.roles.join(', ') || 'none'],
      ['files', `${taken.targets}, of which ${taken.lost.length} could not be fetched`],
    ]),
    ...taken.lost.slice(0, SHOWN).map((path) => `  without content: ${path}`),
    '',
    'Stop publishing there, then let its address lead here: its clients need no change.',
    `  ${context.suggest(`serve ${name}`)}`,
  ]);
}

/** Adds a signature to a root that others sign too. @throws SignerError; UsageError; MetadataError */
export async function signRootFile(context: Context, file: string, options: SignRootOptions): Promise<void> {
  const { config, shell, output } = context;
  const anchor = await readAnchor(config.root);
  const offered = await readRootFile(file, shell);
  const ports = {
    crypto: nodeCrypto,
    state: { load: () => undefined, save: () => undefined, drop: () => undefined },
    source: { fetch: () => undefined },
  };
  const present = (await drive(start(anchor), ports)).root.content;
  const { message, signed } = openEnvelope(offered, 'root');
  const next = readRoot(signed);
  if (next.version !== present.version + 1) {
    throw new UsageError(
      'USAGE_INVALID',
      `Signing ${file}: it is root ${next.version}, and the one you trust is ${present.version}; pass the present one with --root`,
    );
  }
  for (const line of keyLines('root', present, next)) output.note(line);
  if (options.bytes !== undefined) await writeFile(resolve(shell.cwd, options.bytes), message);
  const authorities = [
    { ...topLevelAuthority(present, 'root'), name: 'root (present)' },
    { ...topLevelAuthority(next, 'root'), name: 'root (next)' },
  ];
  const given = await withGiven(offered, options.signature ?? [], shell);
  const root = await signedWith(given, options.signWith ?? [], authorities, shell);
  if (!sameBytes(root, offered)) await writeFile(resolve(shell.cwd, file), root);
  const tallies = talliesOf(root, authorities);
  output.result({ file, version: next.version, signatures: tallies }, [
    `Root ${next.version}:`,
    ...tallyLines(tallies),
  ]);
}

/** The draft of an earlier run, if it is still the one to sign. */
async function keptDraft(
  file: string,
  redraft: (expires: number) => JsonObject,
  now: number,
): Promise<Uint8Array | undefined> {
  const kept = await readFile(file).catch(() => undefined); // the first run
  if (kept === undefined) return undefined;
  const { message, signed } = openEnvelope(kept, 'root');
  const { expires } = readRoot(signed);
  if (expires < now + days(30)) return undefined;
  return sameBytes(canonicalBytes(redraft(expires)), message) ? kept : undefined;
}

function foreignLines({ state, roles, expiries }: Foreign, root: Uint8Array, now: number): readonly string[] {
  const expired = [...expiries].filter(([, expires]) => expires <= now).map(([role]) => role);
  return [
    ...keyLines('root', state.root.content, readRoot(openEnvelope(root, 'root').signed)),
    `  ${roles.size} delegated roles stay as they are`,
    ...(expired.length === 0 ? [] : [`  expired by now: ${expired.join(', ')}`]),
  ];
}

const SHOWN = 20;
