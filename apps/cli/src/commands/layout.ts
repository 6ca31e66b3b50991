// `countersign layout`: how the files of a collection are spread over roles, what
// that costs a client, and when another number would cost less; and the quorum's
// act that changes it, by one publication that no client stumbles over.

import type { Client } from '@countersign/client';
import { days, readShardName, type Targets, UsageError } from '@countersign/core';
import { ecosystemOf } from '@countersign/ecosystems';
import { binNames, customRoles, draftRebinning, draftResharding } from '@countersign/repository';
import type { Context } from '../context.ts';
import { authorText, binsText, shardsText } from '../layout-lines.ts';
import { binBits } from '../layout-options.ts';
import { bytesText, columns } from '../output.ts';
import { plainOf } from '../plain-collection.ts';
import { draftedLines, type InForce, inForce, presentSigners, type Resolution, resolve } from '../quorum-meeting.ts';
import { openTrust } from '../trusted-collection.ts';

/** What `layout` may be told. */
export interface LayoutOptions {
  readonly bins?: string;
  readonly form?: string;
  readonly shardDigits?: string;
  readonly dryRun?: boolean;
}

/** Shows the layout, or changes it. @throws UsageError USAGE_INVALID; SignerError; whatever client and service give */
export async function layout(context: Context, options: LayoutOptions): Promise<void> {
  const { bins, form, shardDigits } = options;
  if (bins === undefined && form === undefined && shardDigits === undefined) await show(context);
  else await change(context, options);
}

async function show({ config, shell, output, suggest }: Context): Promise<void> {
  const client = await openTrust(config, shell);
  const progress = output.progress(`Verifying ${config.url}`);
  await client.refresh();
  const found = await measured(client);
  progress.end();
  const { what, roles, snapshot, listed, authors, better } = found;
  const sizes = [...roles].sort((a, b) => a.length - b.length);
  const total = sizes.reduce((sum, { length }) => sum + length, 0);
  const [smallest, largest] = [sizes[0], sizes.at(-1)];
  const perFile = snapshot + Math.round(total / Math.max(1, roles.length)) * found.perSearch;
  output.result(
    {
      collection: config.collection,
      kind: found.kind,
      roles: roles.length,
      bytes: total,
      largest: largest ?? null,
      smallest: smallest ?? null,
      snapshot: { bytes: snapshot, roles: listed },
      authors: authors.map(({ name }) => name),
      advice: better === undefined ? null : better.option,
    },
    [
      `${config.collection}: ${found.kind === 'plain' ? 'a plain collection of files' : 'a registry'}, ${what}`,
      ...columns([
        ['all of them', bytesText(total)],
        ['largest', largest === undefined ? '' : `${largest.role}, ${bytesText(largest.length)}`],
        ['smallest', smallest === undefined ? '' : `${smallest.role}, ${bytesText(smallest.length)}`],
        [
          'snapshot',
          `${bytesText(snapshot)}, a line for each of ${listed.toLocaleString('en')} roles, former ones too`,
        ],
        ...authors.map((role) => ['author', authorText(role)]),
        ['a client', `that is new reads some ${bytesText(perFile)} for one file`],
      ]),
      '',
      ...((largest?.length ?? 0) > MUCH
        ? [`${largest?.role} is large: every client that wants a file in it reads all of it, and some refuse 5 MB.`]
        : []),
      ...(better === undefined
        ? ['This fits: another number would not help clients much.']
        : [
            `${better.text} would spare such a client ${bytesText(better.spared)}: ${suggest(`layout ${better.option}`)}`,
          ]),
    ],
  );
}

interface Measured {
  readonly kind: 'plain' | 'registry';
  readonly what: string;
  /** The roles that files or names are spread over. */
  readonly roles: readonly { readonly role: string; readonly length: number }[];
  /** Bytes of the snapshot, and roles that it lists. */
  readonly snapshot: number;
  readonly listed: number;
  /** How many of the roles a search reads. */
  readonly perSearch: number;
  readonly authors: ReturnType<typeof customRoles>;
  /** Another number, where it costs clients less than half. */
  readonly better: { readonly option: string; readonly text: string; readonly spared: number } | undefined;
}

async function measured(client: Client): Promise<Measured> {
  const { targets, snapshot, timestamp } = client.trusted;
  const meta = snapshot?.content.meta ?? new Map();
  const bytes = timestamp?.content.snapshot.length ?? snapshot?.bytes.length ?? 0;
  const lengths = (names: readonly string[]): Measured['roles'] =>
    names.map((role) => ({ role, length: meta.get(role)?.length ?? 0 }));
  const line = bytes / Math.max(1, meta.size);
  const shared = { snapshot: bytes, listed: meta.size };
  const plain = await plainOf(client);
  if (plain !== undefined) {
    const roles = lengths(binNames(plain.bins));
    const authors = customRoles(plain.targets);
    const choices = Array.from({ length: 16 }, (_, i) => 2 ** (i + 1));
    const better = cheaper(roles, choices, { line, listed: meta.size, perSearch: 1 });
    const option = better && { ...better, option: `--bins ${better.count}`, text: `${better.count} bins` };
    return { ...shared, kind: 'plain', what: binsText(plain.role) ?? '', roles, perSearch: 1, authors, better: option };
  }
  const names = (targets?.content.delegations?.roles ?? []).map(({ name }) => name);
  const roles = lengths(names.filter((name) => readShardName(name) !== undefined));
  if (targets === undefined || roles.length === 0) throw notOurs();
  const better = cheaper(
    roles,
    [1, 16, 256, 4096, 65_536].map((shards) => 3 * shards),
    { line, listed: meta.size, perSearch: 3 },
  );
  const digits = better && Math.round(Math.log2(better.count / 3) / 4);
  const option = better && {
    ...better,
    option: `--shard-digits ${digits}`,
    text: `${better.count / 3} shards of each kind`,
  };
  const what = shardsText(targets.content) ?? '';
  return { ...shared, kind: 'registry', what, roles, perSearch: 3, authors: [], better: option };
}

/**
 * The number of roles that costs a new client least, if that is half of what it
 * reads now. What the snapshot has listed once it lists for ever.
 *
 * @param basis bytes of the snapshot for each role, roles that it lists, and how many of them one search reads
 */
function cheaper(
  roles: Measured['roles'],
  choices: readonly number[],
  { line, listed, perSearch }: { readonly line: number; readonly listed: number; readonly perSearch: number },
): { readonly count: number; readonly spared: number } | undefined {
  const content = roles.reduce((sum, { length }) => sum + Math.max(0, length - EMPTY), 0);
  const lines = (count: number): number => (count === roles.length ? listed : listed + count);
  const cost = (count: number): number => lines(count) * line + perSearch * (EMPTY + content / count);
  const best = choices.reduce((a, b) => (cost(b) < cost(a) ? b : a), roles.length);
  const spared = cost(roles.length) - cost(best);
  return spared > cost(roles.length) / 2 && spared > WORTH ? { count: best, spared } : undefined;
}

async function change(context: Context, options: LayoutOptions): Promise<void> {
  const { output, config } = context;
  const present = await inForce(context);
  const drafted = draft(context, present, options);
  if (drafted === undefined) {
    output.result({ publication: null, event: null }, [`Nothing is to be done: ${config.collection} is laid out so.`]);
    return;
  }
  if (options.dryRun === true) {
    for (const line of draftedLines(present, drafted.drafts)) output.note(line);
    output.result({ publication: null, event: null }, ['Nothing was signed (--dry-run).']);
    return;
  }
  const { publication, event, lines } = await resolve(context, present, drafted);
  output.result({ publication, event }, [
    ...lines,
    ...(publication === null ? [] : ['Every client finds what it found before; your own has looked.']),
  ]);
}

/** What the quorum is to sign; `undefined` when nothing would change. @throws UsageError USAGE_INVALID */
function draft(context: Context, present: InForce, { bins, form, shardDigits }: LayoutOptions): Resolution | undefined {
  const expires = context.shell.clock() + days(OFFLINE_DAYS);
  const shared = { signers: presentSigners(present), together: true };
  if (present.bins !== undefined) {
    if (shardDigits !== undefined)
      throw invalid('--shard-digits is for a registry; this is a plain collection of files');
    const now = present.bins.delegations?.succinct === undefined ? 'classic' : 'succinct';
    const to = form === undefined ? now : form === 'succinct' ? 'succinct' : 'classic';
    const bitLength = bins === undefined ? bitsOf(present.bins) : binBits(bins, to);
    if (bitLength === bitsOf(present.bins) && to === now) return undefined;
    const rebinned = draftRebinning(present.bins, { bitLength, form: to, expires }, keyOf(present.bins));
    const title = `another layout: ${binsText(present.bins) ?? ''} → ${(2 ** bitLength).toLocaleString('en')} bins (${to})`;
    return { ...shared, title, drafts: new Map([['bins', rebinned]]) };
  }
  if (bins !== undefined || form !== undefined) throw invalid('--bins and --form are for a plain collection of files');
  if (!/^[0-4]$/.test(shardDigits ?? '')) throw invalid('--shard-digits must be 0 to 4');
  const digits = Number(shardDigits);
  const { targets, known } = present;
  if (shardsText(targets) === undefined) throw notOurs();
  if (shardsOf(targets) === 16 ** digits) return undefined;
  const meta = known.client.trusted.snapshot?.content.meta;
  const drafts = draftResharding({
    targets,
    register: known.list.register,
    versionOf: (role) => meta?.get(role)?.version ?? 0,
    projectOf: (ecosystem, name) => ecosystemOf(ecosystem).project(name),
    digits,
    expires,
  });
  return { ...shared, title: `another layout: ${shardsText(targets) ?? ''} → ${16 ** digits}`, drafts };
}

function shardsOf({ delegations }: Targets): number {
  return (delegations?.roles ?? []).filter(({ name }) => readShardName(name)?.kind === 'recent').length;
}

function bitsOf(role: Targets): number {
  const { succinct, roles = [] } = role.delegations ?? {};
  return succinct?.bitLength ?? Math.log2(roles.length);
}

/** The online key of the bins. */
function keyOf({ delegations }: Targets): Parameters<typeof draftRebinning>[2] {
  const [keyId, key] = [...(delegations?.keys ?? [])][0] ?? [];
  if (keyId === undefined || key === undefined) throw notOurs();
  return { keyId, key };
}

function invalid(problem: string): UsageError {
  return new UsageError('USAGE_INVALID', `Changing the layout: ${problem}`);
}

function notOurs(): UsageError {
  return new UsageError('USAGE_INVALID', 'Reading the layout: it is none of this service');
}

const OFFLINE_DAYS = 365;
// Bytes: of a role that lists nothing, of one that is large, and of what is worth a change.
const EMPTY = 320;
const MUCH = 1_000_000;
const WORTH = 20_000;
