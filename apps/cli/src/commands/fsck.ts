// `countersign fsck`: what is wrong with a collection, how bad it is and what
// to do. Reads beside a running service; --repair changes, and works alone.

import { StoreError } from '@countersign/core';
import {
  type CheckSummary,
  checkCollection,
  FINDINGS,
  type Finding,
  type FindingKind,
  type OperationOptions,
  type Repaired,
  repairCollection,
} from '@countersign/repository/operations';
import type { Context } from '../context.ts';
import { alone, anchorOf, rootFile, withStore } from '../local-store.ts';
import { bytesText } from '../output.ts';
import { shownPath } from '../shell.ts';

/** What `fsck` may be told. */
export interface FsckOptions {
  readonly deep?: boolean;
  readonly repair?: boolean;
}

/** Checks a collection, and repairs it if told to. @throws StoreError CHECK_FAILED when errors are left; UsageError COLLECTION_MISSING, COLLECTION_BUSY */
export async function fsck(
  context: Context,
  name: string,
  { deep = false, repair = false }: FsckOptions,
): Promise<void> {
  const { config, output, shell } = context;
  const anchor = await anchorOf(config, name);
  if (anchor === undefined) {
    const file = shownPath(rootFile(config, name), shell);
    output.note(`There is no ${file}, so the collection's own first root is taken as anchor: that proves less.`);
  }
  const result = await withStore(context, name, `Checking ${name}`, async (options) => {
    const check = async (): Promise<Checked> => await checked({ ...options, deep, ...(anchor && { anchor }) });
    if (!repair) return { ...(await check()), repaired: [] };
    return await alone(options, async () => await repairing(options, check));
  });
  const { summary, findings, repaired } = result;
  output.result(
    {
      collection: name,
      ...summary,
      findings: findings.map((one) => ({
        ...one,
        severity: FINDINGS[one.kind].severity,
        next: FINDINGS[one.kind].next,
      })),
      repaired: repaired.map(({ finding, done }) => ({
        kind: finding.kind,
        subject: finding.subject,
        done: done ?? null,
      })),
    },
    [...repaired.filter(({ done }) => done !== undefined).map(repairLine), ...linesOf(name, result)],
  );
  const errors = count(findings, 'error');
  if (errors > 0) {
    throw new StoreError('CHECK_FAILED', `Checking ${name}: ${errors} ${errors === 1 ? 'error' : 'errors'}`, {
      detail: { errors, warnings: count(findings, 'warning') },
    });
  }
}

interface Checked {
  readonly summary: CheckSummary;
  readonly findings: readonly Finding[];
}

async function checked(options: Parameters<typeof checkCollection>[0]): Promise<Checked> {
  const findings: Finding[] = [];
  const summary = await checkCollection(options, (finding) => findings.push(finding));
  return { summary, findings };
}

/** Repairs until nothing changes any more: what is found may have hidden more. */
async function repairing(
  options: OperationOptions,
  check: () => Promise<Checked>,
): Promise<Checked & { readonly repaired: readonly Repaired[] }> {
  const repaired: Repaired[] = [];
  let state = await check();
  for (let before = ''; before !== keyOf(state); state = await check()) {
    before = keyOf(state);
    const round = await repairCollection(options, state.findings);
    if (round.every(({ done }) => done === undefined)) break;
    repaired.push(...round);
  }
  return { ...state, repaired };
}

function keyOf({ findings }: Checked): string {
  return findings.map(({ kind, subject }) => `${kind} ${subject}`).join('\n');
}

function linesOf(name: string, { summary, findings }: Checked): readonly string[] {
  const { publication, roles, targets, blobs, files, decisions } = summary;
  const told = new Map<FindingKind, number>();
  const lines = [...findings]
    .sort((a, b) => SEVERITIES.indexOf(severityOf(a)) - SEVERITIES.indexOf(severityOf(b)))
    .flatMap((finding) => {
      const times = (told.get(finding.kind) ?? 0) + 1;
      told.set(finding.kind, times);
      return times > SHOWN_OF_A_KIND ? [] : [findingLine(finding)];
    });
  for (const [kind, times] of told) {
    if (times > SHOWN_OF_A_KIND) lines.push(`… and ${times - SHOWN_OF_A_KIND} more of ${kind}; --json shows all`);
  }
  const counted = `${roles} roles, ${targets} listed files, ${blobs} blobs, ${files} files on the site, ${decisions} decisions`;
  const [errors, warnings] = [count(findings, 'error'), count(findings, 'warning')];
  const verdict = errors + warnings === 0 ? 'Nothing is wrong' : `${errors} errors, ${warnings} warnings`;
  return [...lines, `${verdict}. Checked publication ${publication} of ${name}: ${counted}.`];
}

function findingLine({ kind, subject, facts }: Finding): string {
  const { severity, problem, next } = FINDINGS[kind];
  const about = [facts.about, facts.bytes === undefined ? undefined : bytesText(facts.bytes)].filter(Boolean);
  const more = about.length === 0 ? '' : ` (${about.join(', ')})`;
  return `${severity.padEnd(7)}  ${subject}: ${problem}${more}. Next: ${next}`;
}

function repairLine({ finding, done }: Repaired): string {
  return `repaired ${finding.subject}: ${FINDINGS[finding.kind].problem}. Done: ${done}`;
}

function severityOf({ kind }: Finding): 'error' | 'warning' | 'note' {
  return FINDINGS[kind].severity;
}

function count(findings: readonly Finding[], severity: string): number {
  return findings.filter((finding) => severityOf(finding) === severity).length;
}

const SEVERITIES = ['error', 'warning', 'note'];
const SHOWN_OF_A_KIND = 20;
