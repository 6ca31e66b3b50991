// A year of a registry, as a script that a seed decides: a thousand projects,
// thirty people who claim, publish, rotate, lose and steal keys, hand over,
// abandon and die; a quorum that countersigns every week and renews what it
// signed; ten days in which an attacker holds every online key, until the
// quorum names others; and an administrator under pressure.
// Everything goes through the engine's public door. What the rightful owners
// published is written down beside it, and whatever a thief signed, too.

import { days, type Instant, ownerRoleName, type Signer } from '@countersign/core';
import {
  type NameBody,
  type NameRecord,
  ownersOf,
  previousOf,
  type Register,
  signDecision,
  stateOf,
} from '@countersign/decisions';
import { seededKey } from '@countersign/testkit';
import { draftSession, type Repository, type SubmissionParts, signSession, submissionText } from '../../src/index.ts';
import {
  type Author,
  author,
  BEGIN,
  codeOf,
  ECOSYSTEMS,
  OFFLINE,
  presentOf,
  publish,
  roleText,
  targetOf,
  upload,
  type World,
} from '../world.ts';
import { forgedSite } from './forged-site.ts';
import { OFFLINE_LIFETIME, renewOffline, replaceOnlineKeys } from './quorum.ts';

/** What one day brought. */
export interface Day {
  readonly number: number;
  /** Projects about which anything changed. */
  readonly changed: ReadonlySet<Owned>;
  /** What an attacker with stolen online keys serves to some; `undefined` on other days. */
  readonly attack: Attack | undefined;
}

/** A mirror of the attacker's own, signed with the first online keys. */
export interface Attack {
  readonly site: ReadonlyMap<string, Uint8Array>;
  /** Whether the root still names these keys. */
  readonly keys: 'named' | 'replaced';
}

/** A project, as its rightful owners know it. */
export interface Owned {
  readonly author: Author;
  owners: readonly Person[];
  keys: readonly Signer[];
  threshold: number;
  epoch: number;
  /** Versions by target path: the SHA-256 of what the owners published. */
  readonly files: Map<string, string>;
  releases: number;
  /** Nothing more is planned for it: it was given up, ended, or is contested. */
  busyUntil: Instant;
}

interface Person {
  readonly name: string;
  alive: boolean;
  keys: number;
}

/** How many projects and people there are, and how long it lasts. */
export interface YearOptions {
  readonly projects: number;
  readonly people: number;
  readonly seed: number;
}

/** How often each thing happened. */
export type Counts = Record<
  | 'claims'
  | 'releases'
  | 'rotations'
  | 'losses'
  | 'recoveries'
  | 'thefts'
  | 'vetoes'
  | 'transfers'
  | 'deaths'
  | 'adoptions'
  | 'retirements'
  | 'freezes'
  | 'sessions'
  | 'refused',
  number
>;

/** The year under way. */
export class RegistryYear {
  readonly projects: Owned[] = [];
  readonly counts: Counts = {
    claims: 0,
    releases: 0,
    rotations: 0,
    losses: 0,
    recoveries: 0,
    thefts: 0,
    vetoes: 0,
    transfers: 0,
    deaths: 0,
    adoptions: 0,
    retirements: 0,
    freezes: 0,
    sessions: 0,
    refused: 0,
  };
  /** What thieves and attackers signed, by SHA-256: must reach nobody. */
  readonly forged = new Set<string>();
  private readonly world: World;
  private readonly repository: Repository;
  private readonly options: YearOptions;
  private readonly people: Person[];
  private readonly random: () => number;
  /** What was arranged for a later day. */
  private readonly arranged: { readonly at: Instant; readonly act: () => Promise<void> }[] = [];
  private changed = new Set<Owned>();
  private day = 0;

  constructor(world: World, repository: Repository, options: YearOptions) {
    this.world = world;
    this.repository = repository;
    this.options = options;
    this.random = mulberry(options.seed);
    this.people = Array.from({ length: options.people }, (_, i) => ({ name: `person ${i}`, alive: true, keys: 0 }));
  }

  /** Lives one day. @param register the list as an auditor replayed it last night */
  async live(register: () => Register): Promise<Day> {
    this.day++;
    this.changed = new Set();
    this.world.clock.now += days(1);
    this.register = register;
    const due = this.arranged.filter(({ at }) => at <= this.world.clock.now);
    for (const one of due) this.arranged.splice(this.arranged.indexOf(one), 1);
    for (const { act } of due) await act();
    await this.claimSome();
    for (let i = 0; i < 6; i++) await this.publishSomething();
    const pace = this.day % 5;
    if (pace === 0) await this.rotate();
    if (pace === 1) await this.loseKey();
    if (pace === 2) await this.stealKey();
    if (pace === 3) await this.transfer();
    if (pace === 4) await this.giveUp();
    if (this.day % 60 === 0) await this.die();
    await this.repository.renew();
    if (this.day % 7 === 0) await this.holdSession();
    if (this.day === 220) await this.coerce();
    if (this.day % RENEWED_EVERY === 0) await renewOffline(this.world, this.repository);
    if (this.day === FOUND) await replaceOnlineKeys(this.world, this.repository);
    return { number: this.day, changed: this.changed, attack: await this.attack() };
  }

  /** From the theft of the online keys on, until the attacker gives up: some time after they were replaced. */
  private async attack(): Promise<Attack | undefined> {
    if (this.day < STOLEN || this.day >= FOUND + 10) return undefined;
    const site = await forgedSite(this.world, this.projects.slice(0, VICTIMS), this.day, this.forged);
    return { site, keys: this.day < FOUND ? 'named' : 'replaced' };
  }

  private register: () => Register = () => {
    throw new Error('The year has not begun');
  };

  /** Most names are claimed in the first days, the others over the year. */
  private async claimSome(): Promise<void> {
    const { projects } = this.options;
    const left = projects - this.projects.length;
    const today = this.day <= 5 ? Math.min(left, Math.ceil((projects * 0.6) / 5)) : Math.min(left, this.chance(2) + 1);
    const roles: { role: string; file: string }[] = [];
    const decisions: string[] = [];
    const contents: string[] = [];
    for (let i = 0; i < today; i++) {
      const owned = this.newProject();
      const { project, role } = owned.author;
      const content = `${project.name} 1.0.0`;
      contents.push(content);
      const target = targetOf(owned.author, `${project.name}-1.0.0.tgz`, content);
      owned.files.set(target.path, target.hashes.get('sha256') ?? '');
      roles.push({ role, file: await roleText(undefined, { set: [target] }, owned.keys) });
      decisions.push(
        await signDecision(
          {
            decision: 'claim',
            collection: 'main',
            ecosystem: project.ecosystem,
            name: project.name,
            epoch: 1,
            previous: '',
            owners: ownersOf(owned.keys, owned.threshold),
          },
          owned.keys,
        ),
      );
      this.projects.push(owned);
      this.changed.add(owned);
      this.counts.claims++;
    }
    if (today === 0) return;
    await upload(this.repository, ...contents);
    for (let at = 0; at < roles.length; at += 100) {
      await publish(
        this.repository,
        submissionText({ roles: roles.slice(at, at + 100), decisions: decisions.slice(at, at + 100) }),
      );
    }
  }

  private newProject(): Owned {
    const number = this.projects.length;
    // One in four is owned by two of three people; every other one has a key in a drawer.
    const together = number % 4 === 0;
    const first = this.someone();
    const owners = together ? [first, this.someone(), this.someone()] : [first];
    const keys = together ? owners.map((person) => this.newKey(person)) : [this.newKey(first)];
    if (!together && number % 2 === 0) keys.push(this.newKey(first));
    return {
      author: author(`project-${number}`, { keys }),
      owners,
      keys,
      threshold: together ? 2 : 1,
      epoch: 1,
      files: new Map(),
      releases: 1,
      busyUntil: 0,
    };
  }

  /** A release by the owners. */
  private async publishSomething(): Promise<void> {
    const owned = this.pick();
    if (owned === undefined) return;
    owned.releases++;
    const { name } = owned.author.project;
    const content = `${name} 1.0.${owned.releases}`;
    const target = targetOf(owned.author, `${name}-1.0.${owned.releases}.tgz`, content);
    await upload(this.repository, content);
    const role = this.roleOf(owned);
    const file = await roleText(presentOf(this.world, role), { set: [target] }, owned.keys);
    await publish(this.repository, submissionText({ roles: [{ role, file }] }));
    owned.files.set(target.path, target.hashes.get('sha256') ?? '');
    this.changed.add(owned);
    this.counts.releases++;
  }

  /** Two owners bring a third key, at once; or one owner changes keys within a week. */
  private async rotate(): Promise<void> {
    const owned = this.pick(({ keys }) => keys.length >= 2);
    const person = owned?.owners[0];
    if (owned === undefined || person === undefined) return;
    const next = [...owned.keys, this.newKey(person)];
    await this.changeOwners(owned, next, owned.threshold, owned.keys);
    owned.keys = next;
    this.counts.rotations++;
  }

  /** One of two keys is lost: the other removes it. Or the only one is: the quorum recovers the name. */
  private async loseKey(): Promise<void> {
    const owned = this.pick(({ threshold }) => threshold === 1);
    const person = owned?.owners[0];
    if (owned === undefined || person === undefined) return;
    this.counts.losses++;
    const [, ...left] = owned.keys;
    if (left.length > 0) {
      owned.keys = left;
      owned.busyUntil = this.world.clock.now + days(9);
      await this.changeOwners(owned, left, 1, left);
      return;
    }
    await this.recover(owned, [this.newKey(person)], 'lost');
  }

  /**
   * A thief gets one key. Of a project that needs two he can do nothing but ask;
   * of any other he tries to take the name before its owner looks again.
   */
  private async stealKey(): Promise<void> {
    const owned = this.pick();
    const [stolen] = owned?.keys ?? [];
    if (owned === undefined || stolen === undefined) return;
    this.counts.thefts++;
    const thief = seededKey(`thief ${this.day}`);
    if (owned.threshold > 1) {
      await this.forgeRelease(owned, [stolen, thief]);
      await this.refused(
        this.decide(owned, { decision: 'owners', owners: ownersOf([thief], 1) }, [stolen, thief], owned),
      );
      return;
    }
    owned.busyUntil = this.world.clock.now + days(3);
    const next = [thief];
    await this.changeOwners(owned, next, 1, [stolen, thief], [stolen]);
    // The next day its owner sees it, objects with the same key, and declares that key dead.
    this.later(1, async () => {
      await this.tell(owned, { decision: 'veto' }, [stolen]);
      this.counts.vetoes++;
      await this.tell(owned, { decision: 'revoke', keyId: stolen.keyId }, [stolen]);
      this.counts.freezes++;
      // From now on the thief has nothing: neither a release nor a change is admitted.
      await this.forgeRelease(owned, [stolen]);
      await this.refused(this.decide(owned, { decision: 'owners', owners: ownersOf(next, 1) }, [stolen, thief], owned));
      await this.refused(this.decide(owned, { decision: 'lift' }, [stolen], owned));
      const left = owned.keys.filter((key) => key !== stolen);
      if (left.length > 0) {
        owned.keys = left;
        await this.tell(owned, { decision: 'lift' }, left, await this.signedAgain(owned, left));
        return;
      }
      const person = owned.owners[0];
      if (person !== undefined) await this.recover(owned, [this.newKey(person)], 'stolen');
    });
  }

  /** A project is handed over; one in three times by mistake, and taken back. */
  private async transfer(): Promise<void> {
    const owned = this.pick(({ threshold }) => threshold === 1);
    if (owned === undefined) return;
    this.counts.transfers++;
    const heir = this.someone();
    const next = [this.newKey(heir)];
    const before = owned.keys;
    await this.changeOwners(owned, next, 1, [...before, ...next]);
    if (this.chance(3) === 0) {
      owned.busyUntil = this.world.clock.now + days(4);
      this.later(3, async () => {
        await this.tell(owned, { decision: 'veto' }, before.slice(0, 1));
        this.counts.vetoes++;
      });
      return;
    }
    owned.busyUntil = this.world.clock.now + days(9);
    owned.keys = next;
    owned.owners = [heir];
  }

  /** Somebody gives a project up, or ends it. */
  private async giveUp(): Promise<void> {
    const owned = this.pick(({ threshold, keys }) => threshold === 1 && keys.length === 1);
    if (owned === undefined) return;
    if (this.chance(2) === 0) {
      this.counts.retirements++;
      owned.busyUntil = Number.POSITIVE_INFINITY;
      await this.tell(owned, { decision: 'retire', reason: 'ended', evidence: '' }, owned.keys);
      return;
    }
    await this.tell(owned, { decision: 'abandon' }, owned.keys);
    const heir = this.someone();
    await this.adopt(owned, heir, 'abandoned', 7);
  }

  /** Somebody dies; the first few of the projects that nobody else owns are adopted. */
  private async die(): Promise<void> {
    const gone = this.someone();
    gone.alive = false;
    this.counts.deaths++;
    const orphans = this.projects.filter(
      (owned) => owned.owners.length === 1 && owned.owners[0] === gone && owned.busyUntil <= this.world.clock.now,
    );
    for (const owned of orphans) {
      owned.busyUntil = Number.POSITIVE_INFINITY;
      if (orphans.indexOf(owned) < 3) await this.adopt(owned, this.someone(), 'deceased', 42);
    }
  }

  private async adopt(owned: Owned, heir: Person, reason: 'abandoned' | 'deceased', wait: number): Promise<void> {
    const keys = [this.newKey(heir)];
    const contacts = [1, 2, 3].map((n) => new Date(BEGIN - days(n * 7)).toISOString().replace('.000', ''));
    const body = { decision: 'adopt', owners: ownersOf(keys, 1), reason, evidence: EVIDENCE, contacts } as const;
    await this.tell(owned, body, [...OFFLINE, ...keys], await this.nextEpoch(owned, keys));
    this.counts.adoptions++;
    this.takeOver(owned, keys, [heir], wait);
  }

  private async recover(owned: Owned, keys: readonly Signer[], reason: 'lost' | 'stolen'): Promise<void> {
    const body = { decision: 'recover', owners: ownersOf(keys, 1), reason, evidence: EVIDENCE } as const;
    await this.tell(owned, body, [...OFFLINE, ...keys], await this.nextEpoch(owned, keys));
    this.counts.recoveries++;
    this.takeOver(owned, keys, owned.owners.slice(0, 1), 14);
  }

  /** From the day of the first session after the wait, the new owners speak. */
  private takeOver(owned: Owned, keys: readonly Signer[], owners: readonly Person[], wait: number): void {
    owned.busyUntil = this.world.clock.now + days(wait + 9);
    this.later(wait + 1, async () => {
      owned.keys = keys;
      owned.owners = owners;
      owned.threshold = 1;
      owned.epoch++;
      this.changed.add(owned);
    });
  }

  private async holdSession(): Promise<void> {
    const session = await this.session(OFFLINE);
    if (session === undefined) return;
    await publish(this.repository, submissionText(session));
    this.counts.sessions++;
  }

  /** What the quorum would sign today; `undefined` where there is nothing to countersign. */
  private async session(members: readonly Signer[]): Promise<SubmissionParts | undefined> {
    const draft = await draftSession({
      register: this.register(),
      digits: 1,
      versionOf: (shard) => presentOf(this.world, shard)?.version ?? 0,
      projectOf: (ecosystem, name) => ECOSYSTEMS.project(ecosystem, name),
      expires: this.world.clock.now + OFFLINE_LIFETIME,
    });
    return draft && (await signSession(draft, members));
  }

  /** One member of the quorum is made to sign what the others do not. */
  private async coerce(): Promise<void> {
    const owned = this.pick();
    const [member] = OFFLINE;
    if (owned === undefined || member === undefined) return;
    const thief = seededKey('who coerces');
    const body = { decision: 'recover', owners: ownersOf([thief], 1), reason: 'legal', evidence: EVIDENCE } as const;
    await this.refused(this.decide(owned, body, [member, thief], owned, await this.nextEpoch(owned, [thief])));
    const session = await this.session([member]);
    if (session !== undefined) await this.refused(publish(this.repository, submissionText(session)));
  }

  /** The owner role's next version under old and new keys, with the statement. */
  private async changeOwners(
    owned: Owned,
    next: readonly Signer[],
    threshold: number,
    signers: readonly Signer[],
    roleSigners: readonly Signer[] = signers,
  ): Promise<void> {
    const all = [...new Set([...roleSigners, ...next])];
    const roles = await this.signedAgain(owned, all);
    const incoming = next.filter((key) => !owned.author.keys.includes(key) && !signers.includes(key));
    const body = { decision: 'owners', owners: ownersOf(next, threshold) } as const;
    await this.tell(owned, body, [...signers, ...incoming], roles);
  }

  private async signedAgain(
    owned: Owned,
    signers: readonly Signer[],
  ): Promise<readonly { readonly role: string; readonly file: string }[]> {
    const role = this.roleOf(owned);
    return [{ role, file: await roleText(presentOf(this.world, role), {}, signers) }];
  }

  /** The first role file of the next owners: what users have stays. */
  private async nextEpoch(
    owned: Owned,
    keys: readonly Signer[],
  ): Promise<readonly { readonly role: string; readonly file: string }[]> {
    const { project } = owned.author;
    const present = presentOf(this.world, this.roleOf(owned));
    const set = [...(present?.targets.values() ?? [])];
    const role = ownerRoleName(project, owned.epoch + 1);
    return [{ role, file: await roleText(undefined, { set }, keys) }];
  }

  /** Decides, and is not refused. */
  private async tell(
    owned: Owned,
    body: NameBody,
    signers: readonly Signer[],
    roles: readonly { readonly role: string; readonly file: string }[] = [],
  ): Promise<void> {
    await this.decide(owned, body, signers, owned, roles);
    this.changed.add(owned);
  }

  private async decide(
    owned: Owned,
    body: NameBody,
    signers: readonly Signer[],
    { epoch }: Pick<Owned, 'epoch'>,
    roles: readonly { readonly role: string; readonly file: string }[] = [],
  ): Promise<void> {
    const { ecosystem, name } = owned.author.project;
    const record = this.recordOf(owned);
    const side = signers.some(({ keyId }) => OFFLINE.some((member) => member.keyId === keyId)) ? 'quorum' : 'owners';
    const previous = previousOf(record, body.decision, side);
    const decision = { collection: 'main', ecosystem, name, epoch, previous, ...body };
    await publish(this.repository, submissionText({ roles, decisions: [await signDecision(decision, signers)] }));
  }

  /** A release that must be refused. */
  private async forgeRelease(owned: Owned, signers: readonly Signer[]): Promise<void> {
    const content = `forged on day ${this.day}: ${owned.author.project.name}`;
    const target = targetOf(owned.author, `${owned.author.project.name}-6.6.${this.day}.tgz`, content);
    this.forged.add(target.hashes.get('sha256') ?? '');
    await upload(this.repository, content);
    const role = this.roleOf(owned);
    const file = await roleText(presentOf(this.world, role), { set: [target] }, signers);
    await this.refused(publish(this.repository, submissionText({ roles: [{ role, file }] })));
  }

  private async refused(attempt: Promise<void>): Promise<void> {
    const code = await codeOf(attempt);
    if (code === undefined) throw new Error('Something that must be refused was admitted');
    this.counts.refused++;
  }

  private recordOf(owned: Owned): NameRecord | undefined {
    return this.register().record(owned.author.project.ecosystem, owned.author.project.name);
  }

  private roleOf(owned: Owned): string {
    return ownerRoleName(owned.author.project, owned.epoch);
  }

  /** A project that nothing else is going on with. */
  private pick(fits: (owned: Owned) => boolean = () => true): Owned | undefined {
    for (let attempt = 0; attempt < 40; attempt++) {
      const owned = this.projects[this.chance(this.projects.length)];
      if (owned === undefined || owned.busyUntil > this.world.clock.now || this.changed.has(owned) || !fits(owned))
        continue;
      const record = this.recordOf(owned);
      const calm =
        record !== undefined && record.pending === undefined && ['recent', 'claimed'].includes(stateOf(record));
      if (calm && owned.owners.every(({ alive }) => alive)) return owned;
    }
    return undefined;
  }

  private later(inDays: number, act: () => Promise<void>): void {
    this.arranged.push({ at: this.world.clock.now + days(inDays), act });
  }

  private someone(): Person {
    for (;;) {
      const person = this.people[this.chance(this.people.length)];
      if (person?.alive) return person;
    }
  }

  private newKey(person: Person): Signer {
    return seededKey(`${person.name} key ${++person.keys}`);
  }

  /** A whole number from 0 to below `n`. */
  private chance(n: number): number {
    return Math.floor(this.random() * n);
  }
}

/** A small generator of numbers from 0 to below 1: the same for the same seed. */
function mulberry(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** The day on which every online key is stolen, and the one on which that is found out. */
const [STOLEN, FOUND] = [180, 190];
const RENEWED_EVERY = 90;
const EVIDENCE = 'e'.repeat(64);
/** The projects that an attacker with the online keys is after: claimed long before. */
export const VICTIMS = 40;
