// What every fault proof watches: authors who publish all the time, a client
// that was there before and keeps its state, and clients that poll. It holds when
//   - what was answered with 201 is visible and verifies, at once and from then on
//   - what was answered with 202 is published, whatever happens to the process
//   - what was not answered is wholly there or not at all, and sending it again ends well
//   - a client that polls all the while never fails: no gap, no part of a file, no rollback
//   - what cannot be done is refused with a 5xx that has a code and a Retry-After
// Plain JavaScript, because proofs run without a build tool.

import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { openNodeClient, sha256 } from '@countersign/client/node';
import {
  days,
  editTargets,
  isTufError,
  openEnvelope,
  ownerRoleName,
  projectDirectory,
  readTargets,
  rowOf,
  signFile,
} from '@countersign/core';
import { projectOf } from '@countersign/ecosystems';
import { signClaim, submissionText } from '@countersign/repository';
import { generateSigner } from '@countersign/signers';

/** A promise of the service that was broken; anything else that fails while it is killed is expected. */
export class Broken extends Error {}

/** @param {string} problem @returns {never} */
export function broken(problem) {
  throw new Broken(problem);
}

export class Workload {
  counts = {
    answered: 0,
    accepted: 0,
    refused: 0,
    unansweredThere: 0,
    unansweredNot: 0,
    refreshes: 0,
    unreachable: 0,
    slowestAnswerMs: 0,
  };
  /** Acknowledged files: path to SHA-256. */
  acknowledged = new Map();
  /** Submissions under way or without an answer. */
  unanswered = new Set();
  acceptedIds = new Set();
  authors = [];
  polling = true;
  pollers = [];
  /** Refreshes of each poller. */
  refreshed = new Map();
  /** Codes of refusals, with how often. */
  codes = new Map();

  /**
   * @param {{ scratch: string, random: ReturnType<typeof randomOf>, anchor: Uint8Array, token: string, siteUrl: string,
   *   name?: string, authors?: number, nodeFor: (author: object) => string | undefined, maySay5xx?: boolean, now?: () => number }} options
   *   `nodeFor` gives the node that an author talks to; `maySay5xx` while a fault lasts
   */
  constructor(options) {
    this.options = { name: 'main', authors: 4, maySay5xx: false, now: Date.now, ...options };
    this.random = options.random;
  }

  async begin() {
    // The one that was there before, and stays.
    this.witness = await this.client('witness', this.options.siteUrl);
    this.addPoller('poller', this.options.siteUrl, false);
    for (let i = 0; i < this.options.authors; i++) this.authors.push(newAuthor(`author-${i}`));
  }

  /** A client that asks all the time. @param {boolean} mayMiss whether it may find nobody to answer */
  addPoller(name, url, mayMiss) {
    const polling = this.client(name, url).then(async (client) => await this.poll(client, mayMiss, name));
    polling.catch(() => undefined); // told by `healthy`
    this.pollers.push(polling);
  }

  /** Everything acknowledged is there for a client that begins now, from the anchor, and takes every byte. */
  async end() {
    await this.stopPolling();
    await this.look();
    const fresh = await this.client('fresh', this.options.siteUrl);
    await fresh.refresh();
    for (const [path, digest] of this.acknowledged) {
      const found = await fresh.find(path);
      const hash = createHash('sha256');
      const sink = {
        write: async (chunk) => void hash.update(chunk),
        commit: async () => undefined,
        abort: async () => undefined,
      };
      await fresh.download(found?.target ?? broken(`${path} is lost`), sink);
      if (hash.digest('hex') !== digest) broken(`${path} has other content`);
    }
  }

  async stopPolling() {
    this.polling = false;
    await Promise.all(this.pollers);
  }

  /** An author at work until the node is gone, or until it is told to stop. */
  async work(author, waits, goesOn = () => true) {
    while (goesOn()) {
      const submission = await this.prepare(author);
      this.unanswered.add(submission);
      try {
        await this.sendUntilAnswered(submission, waits, goesOn);
      } catch (error) {
        if (error instanceof Broken) throw error;
        return; // killed: nobody knows what became of it
      }
    }
  }

  async sendUntilAnswered(submission, waits, goesOn = () => true) {
    for (;;) {
      try {
        return await this.send(submission, waits);
      } catch (error) {
        // Who was refused comes again, until the fault is over.
        if (!(error instanceof Refused) || !goesOn()) throw error;
        await pause(100);
      }
    }
  }

  /** The next version of a role with one more file; sometimes with a claim of a new name. */
  async prepare(author) {
    if (author.present === undefined || this.random() < 0.2)
      Object.assign(author, newAuthor(author.name, ++author.generation));
    const content = Buffer.alloc(this.random() < 0.1 ? 500_000 : 200, `${author.role} ${this.random()}`);
    const path = `${author.directory}/file-${(author.present?.version ?? 0) + 1}`;
    const digest = (name) => createHash(name).update(content).digest('hex');
    const hashes = new Map([
      ['sha256', digest('sha256')],
      ['sha512', digest('sha512')],
    ]);
    const { now, name } = this.options;
    const draft = editTargets(author.present, {
      expires: now() + days(3650),
      set: [{ path, length: content.length, hashes, custom: undefined }],
    });
    const bytes = await signFile(draft, [author.signer]);
    const decisions = author.present === undefined ? [await signClaim(name, author.project, [author.signer])] : [];
    const text = submissionText({ roles: [{ role: author.role, file: new TextDecoder().decode(bytes) }], decisions });
    const { role, directory } = author;
    const next = readTargets(openEnvelope(bytes, role).signed, role);
    return { author, role, directory, next, path, digest: digest('sha256'), content, text };
  }

  async send(submission, waits) {
    const { digest, content, text, author } = submission;
    await this.ask(author, 'PUT', `blobs/${digest}`, content, 'application/octet-stream');
    const headers = waits ? {} : { prefer: 'respond-async' };
    const { status, body } = await this.ask(author, 'POST', 'submissions', text, 'application/json', headers);
    this.unanswered.delete(submission);
    author.present = submission.next;
    if (status === 201) {
      this.counts.answered++;
      this.acknowledged.set(submission.path, digest);
    } else {
      this.counts.accepted++;
      this.acceptedIds.add({ id: body.submission, submission });
      // The next version is judged against what is published, so it waits.
      await this.published(body.submission, submission);
    }
  }

  async published(id, submission) {
    const began = performance.now();
    for (;;) {
      const { body } = await this.ask(submission.author, 'GET', `submissions/${id}`).catch((error) => {
        if (error instanceof Refused) return { body: {} };
        throw error;
      });
      if (body.state === 'refused') broken(`an accepted submission was refused: ${JSON.stringify(body.refusal)}`);
      if (body.state === 'published') break;
      if (performance.now() - began > PATIENCE_MILLIS) broken('an accepted submission was not published');
      await pause(10);
    }
    this.acknowledged.set(submission.path, submission.digest);
    for (const one of this.acceptedIds) if (one.id === id) this.acceptedIds.delete(one);
  }

  async ask(author, method, address, body, type, headers = {}) {
    const node = this.options.nodeFor(author);
    if (node === undefined) throw new Error('there is nobody to ask');
    const began = performance.now();
    const response = await fetch(`${node}/api/v1/${this.options.name}/${address}`, {
      method,
      // A kept connection may be closed just when it is used again; what was refused must be known to be.
      headers: {
        authorization: `Bearer ${this.options.token}`,
        connection: 'close',
        ...(type && { 'content-type': type }),
        ...headers,
      },
      ...(body && { body }),
      signal: AbortSignal.timeout(PATIENCE_MILLIS),
    });
    const answer = await response.json();
    this.counts.slowestAnswerMs = Math.max(this.counts.slowestAnswerMs, Math.round(performance.now() - began));
    const { status } = response;
    if (status < 400) return { status, body: answer };
    const what = `${method} ${address}: ${status} ${JSON.stringify(answer)}`;
    if (status < 500 || !this.options.maySay5xx) broken(what);
    if (typeof answer.code !== 'string' || answer.code === 'INTERNAL') broken(`a refusal without a code: ${what}`);
    if (!/^\d+$/.test(response.headers.get('retry-after') ?? '')) broken(`a refusal without Retry-After: ${what}`);
    this.counts.refused++;
    this.codes.set(answer.code, (this.codes.get(answer.code) ?? 0) + 1);
    throw new Refused(what);
  }

  /** Everything acknowledged is there for the client that was there before. */
  async look() {
    await this.witness.refresh();
    // The latest, and some of the older ones; the end looks at every one.
    const all = [...this.acknowledged];
    for (const [i, [path, digest]] of all.entries()) {
      if (i < all.length - 60 && this.random.apart() > 60 / all.length) continue;
      const found = await this.witness.find(path);
      if (found?.target.hashes.get('sha256') !== digest) broken(`${path} was acknowledged and is lost`);
    }
    this.counts.refreshes++;
  }

  /** With the service up again: accepted ones are published, the others are there or not, and go through when sent again. */
  async settle() {
    for (const { id, submission } of this.acceptedIds) await this.published(id, submission);
    for (const submission of this.unanswered) {
      await this.witness.refresh();
      const { role, next, path, directory, digest, author } = submission;
      const version = this.witness.trusted.snapshot?.content.meta.get(role)?.version ?? 0;
      const found = (await this.witness.list(directory)).found.get(path);
      if (version === next.version) {
        if (found?.target.hashes.get('sha256') !== digest) broken(`half of a submission is there: ${path}`);
        this.counts.unansweredThere++;
      } else {
        if (version !== next.version - 1 || found !== undefined) broken(`half of a submission is there: ${path}`);
        this.counts.unansweredNot++;
      }
      await this.sendUntilAnswered(submission, true);
      author.present = next;
    }
    this.unanswered.clear();
    await this.witness.refresh();
  }

  async poll(client, mayMiss, name) {
    while (this.polling) {
      const known = [...this.acknowledged.keys()];
      try {
        await client.refresh();
        const path = known[Math.floor(this.random.apart() * known.length)];
        if (path !== undefined && (await client.find(path)) === undefined) broken(`${path} is hidden`);
        this.counts.refreshes++;
        this.refreshed.set(name, (this.refreshed.get(name) ?? 0) + 1);
      } catch (error) {
        if (!mayMiss || !isTufError(error) || rowOf(error.code).party !== 'transport') throw error;
        this.counts.unreachable++;
      }
      await pause(2);
    }
  }

  /** Throws what a poller has met. */
  async healthy() {
    await Promise.race([...this.pollers, pause(0)]);
  }

  async client(name, url) {
    const { scratch, anchor } = this.options;
    return await openNodeClient({ url, folder: join(scratch, name), anchor });
  }
}

/** The service says that it cannot now. */
class Refused extends Error {}

function newAuthor(name, generation = 0) {
  const project = projectOf(`files/${name}-${generation}`);
  return {
    name,
    generation,
    project,
    signer: generateSigner(),
    role: ownerRoleName(project, 1),
    directory: projectDirectory(project, sha256),
    present: undefined,
  };
}

/** Resolves after a while. */
export function pause(millis) {
  return new Promise((resolve) => setTimeout(resolve, millis));
}

/** Waits until something holds. @throws {Broken} when it does not in time */
export async function until(holds, what, millis = PATIENCE_MILLIS) {
  const began = performance.now();
  while (!(await holds())) {
    if (performance.now() - began > millis) broken(`${what} did not come within ${millis} ms`);
    await pause(10);
  }
  return performance.now() - began;
}

/** Seeded numbers from 0 to 1 (mulberry32); `apart` draws from a stream of its own, so that polling disturbs nothing. */
export function randomOf(seed) {
  const stream = (start) => {
    let state = start;
    return () => {
      state = (state + 0x6d2b79f5) | 0;
      let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
      mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
    };
  };
  return Object.assign(stream(seed), { apart: stream(seed ^ 0x9e3779b9) });
}

// Longer than any fault that a proof makes.
const PATIENCE_MILLIS = 150_000;
