// What the repository itself brings to a publication: completions of requests
// whose time has come, notes of the roots in force, renewals. What cannot be
// completed yet is put off until something about its name changes.

import type { Instant } from '@countersign/core';
import { decisionId, openDecision, signDecision } from '@countersign/decisions';
import { nameOfRole } from './expectations.ts';
import type { RepositoryOptions } from './options.ts';
import { isDue, type Lifetimes, type OwnBusiness, type Plan } from './plan.ts';
import type { Standing } from './standing.ts';
import { dueRoles, type State } from './state.ts';
import type { Submission } from './submission.ts';

/** Finds the repository's own business. */
export class OwnBusinessFinder {
  private readonly options: RepositoryOptions;
  /** Requests whose new owners have not signed their role yet, with their names. */
  private readonly postponed = new Map<string, string>();

  constructor(options: RepositoryOptions) {
    this.options = options;
  }

  /** What there is to do in a publication of now. */
  async find(
    state: State,
    submissions: readonly Submission[],
    lifetimes: Lifetimes,
    now: Instant,
  ): Promise<OwnBusiness> {
    const completions: string[] = [];
    for (const { ecosystem, name, epoch, pending } of this.requests(state, now)) {
      const subject = { collection: this.options.name, ecosystem, name, epoch, previous: pending?.request ?? '' };
      completions.push(await signDecision({ decision: 'complete', ...subject }, []));
    }
    const rootNotes = await this.rootNotes(state, submissions, completions.length);
    return { rootNotes, completions, due: dueRoles(state, lifetimes, now) };
  }

  /** Whether anything must be published though nobody has sent anything. */
  isDue(state: State, lifetimes: Lifetimes, now: Instant): boolean {
    return isRenewalDue(state, lifetimes, now) || this.requests(state, now).length > 0;
  }

  /** Notes which roots are in force, where the list is about to grow and does not say so yet. */
  async rootNotes(state: State, submissions: readonly Submission[], others = 0): Promise<readonly string[]> {
    if (others === 0 && submissions.every(({ decisions }) => decisions.length === 0)) return [];
    const { quorums, standing } = state;
    let { id: previous, version } = standing.register.rootInForce;
    const notes: string[] = [];
    while (version < standing.root.version) {
      const sha256 = quorums.get(++version)?.sha256 ?? '';
      const note = { decision: 'root', collection: this.options.name, previous, version, sha256 } as const;
      notes.push(await signDecision(note, []));
      previous = decisionId(note, this.options.crypto);
    }
    return notes;
  }

  /** Keeps in mind what a plan had to put off, until a role of the same name changes. */
  remember({ postponed, authored }: Plan): void {
    const names = new Set(authored.map(({ role }) => nameOfRole(role)));
    for (const [request, name] of this.postponed) if (names.has(name)) this.postponed.delete(request);
    for (const { statement, refusal } of postponed) {
      const { decision } = openDecision(statement, this.options.crypto);
      if (!('name' in decision) || names.has(`${decision.ecosystem}/${decision.name}`)) continue;
      this.postponed.set(decision.previous, `${decision.ecosystem}/${decision.name}`);
      this.options.log?.({ event: 'failed', code: refusal.code, message: refusal.message });
    }
  }

  private requests({ standing }: State, now: Instant): ReturnType<Standing['register']['due']> {
    const due = standing.register.due(now);
    return due.filter(({ pending }) => pending !== undefined && !this.postponed.has(pending.request));
  }
}

/** Whether a role that an online key signs is past about half of its life. */
export function isRenewalDue(state: State, lifetimes: Lifetimes, now: Instant): boolean {
  const { timestamp, snapshot } = state.trusted;
  return (
    isDue(timestamp.content, 'timestamp', lifetimes, now) ||
    isDue(snapshot.content, 'snapshot', lifetimes, now) ||
    dueRoles(state, lifetimes, now).length > 0
  );
}
