// The kill proof: a real server is killed with SIGKILL at seeded random moments
// while authors publish, and started again. It holds when
//   - what was answered with 201 is visible and verifies, at once after the kill,
//     to a client that keeps its state, and from then on
//   - what was answered with 202 is published by the next process
//   - what was not answered is wholly there or not at all, and sending it again ends well
//   - a client that polls the static files all the while never fails: no gap,
//     no part of a file, no rollback
// Plain JavaScript, because `npm run proof:kill` runs it without a build tool.

import { fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openNodeClient, sha256 } from '@countersign/client/node';
import {
  days,
  editTargets,
  openEnvelope,
  ownerRoleName,
  projectDirectory,
  readTargets,
  signFile,
} from '@countersign/core';
import { projectOf } from '@countersign/ecosystems';
import { signClaim, submissionText } from '@countersign/repository';
import { createCollectionFolder } from '@countersign/server';
import { generateSigner } from '@countersign/signers';

const CHILD = fileURLToPath(new URL('kill-child.mjs', import.meta.url));
const AUTHORS = 4;

/**
 * Runs the proof.
 *
 * @param {{ rounds: number, seed?: number, say?: (line: string) => void }} options
 * @returns {Promise<Readonly<Record<string, number>>>} what happened, in counts
 * @throws {Error} with the seed and the round as soon as a promise is broken
 */
export async function killRounds({ rounds, seed = 1, say = () => undefined }) {
  const scratch = await mkdtemp(join(tmpdir(), 'countersign-kill-'));
  const proof = new Proof(scratch, randomOf(seed));
  try {
    await proof.begin();
    for (let round = 1; round <= rounds; round++) {
      await proof.round().catch((error) => {
        throw new Error(`Kill proof, seed ${seed}, round ${round}: ${error.message}`, { cause: error });
      });
      if (round % 25 === 0) say(`round ${round}: ${JSON.stringify(proof.counts)}`);
    }
    await proof.end();
    return proof.counts;
  } finally {
    await proof.stop();
    await rm(scratch, { recursive: true, force: true });
  }
}

class Proof {
  counts = {
    kills: 0,
    killsWhileStarting: 0,
    answered: 0,
    accepted: 0,
    unansweredThere: 0,
    unansweredNot: 0,
    refreshes: 0,
    slowestStartMs: 0,
  };
  /** Acknowledged files: path to SHA-256. */
  acknowledged = new Map();
  /** Submissions under way or without an answer. */
  unanswered = new Set();
  acceptedIds = new Set();
  authors = [];
  polling = true;

  constructor(scratch, random) {
    this.scratch = scratch;
    this.folder = join(scratch, 'collection');
    this.random = random;
  }

  async begin() {
    const passphrases = async () => 'only for the kill proof';
    const made = await createCollectionFolder({ folder: this.folder, name: 'main', passphrases, clock: Date.now });
    this.anchor = made.anchor;
    this.token = made.token;
    this.web = await staticServer(join(this.folder, 'site'));
    // The one that was there before, and stays; the other one asks all the time.
    this.witness = await this.client('witness');
    this.poller = this.poll(await this.client('poller'));
    for (let i = 0; i < AUTHORS; i++) this.authors.push(newAuthor(`author-${i}`));
  }

  /** Starts a server, lets authors publish, kills it, looks, and starts it again to settle what was open. */
  async round() {
    await this.start();
    await this.settle();
    const working = this.authors.map((author, i) => this.work(author, i % 2 === 0));
    await pause(20 + this.random() * 350);
    await this.kill();
    await Promise.all(working);
    await this.look();
    if (this.random() < 0.25) {
      // Once more, while it recovers from the first.
      const starting = this.start().catch(() => undefined);
      await pause(this.random() * (this.counts.slowestStartMs + 20));
      await this.kill();
      await starting;
      this.counts.killsWhileStarting++;
      await this.look();
    }
    await this.healthy();
  }

  async end() {
    await this.start();
    await this.settle();
    this.polling = false;
    await this.poller;
    await this.look();
    // A client that begins now, from the anchor, and takes every byte.
    const fresh = await this.client('fresh');
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

  async stop() {
    this.polling = false;
    await this.kill();
    await this.poller?.catch(() => undefined);
    await this.web?.close();
  }

  async start() {
    const began = performance.now();
    const child = fork(CHILD, [this.folder], { execArgv: [], stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    this.child = child;
    this.url = await new Promise((resolve, reject) => {
      child.once('message', ({ url }) => resolve(url));
      child.once('exit', () => reject(new Error('the server did not start')));
    });
    this.counts.slowestStartMs = Math.max(this.counts.slowestStartMs, Math.round(performance.now() - began));
  }

  async kill() {
    const { child } = this;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
    this.counts.kills++;
  }

  /** An author at work until the server is gone: versions of old projects, and claims of new ones. */
  async work(author, waits) {
    for (;;) {
      const submission = await this.prepare(author);
      this.unanswered.add(submission);
      try {
        await this.send(submission, waits);
      } catch (error) {
        if (error instanceof Broken) throw error;
        return; // killed: nobody knows what became of it
      }
    }
  }

  /** The next version of a role with one more file; sometimes with a claim of a new name. */
  async prepare(author) {
    if (author.present === undefined || this.random() < 0.2)
      author = Object.assign(author, newAuthor(author.name, ++author.generation));
    const content = Buffer.alloc(this.random() < 0.1 ? 500_000 : 200, `${author.role} ${this.random()}`);
    const path = `${author.directory}/file-${(author.present?.version ?? 0) + 1}`;
    const digest = (name) => createHash(name).update(content).digest('hex');
    const hashes = new Map([
      ['sha256', digest('sha256')],
      ['sha512', digest('sha512')],
    ]);
    const draft = editTargets(author.present, {
      expires: Date.now() + days(3650),
      set: [{ path, length: content.length, hashes, custom: undefined }],
    });
    const bytes = await signFile(draft, [author.signer]);
    const decisions = author.present === undefined ? [await signClaim('main', author.project, [author.signer])] : [];
    const text = submissionText({ roles: [{ role: author.role, file: new TextDecoder().decode(bytes) }], decisions });
    const { role, directory } = author;
    const next = readTargets(openEnvelope(bytes, role).signed, role);
    return { author, role, directory, next, path, digest: digest('sha256'), content, text };
  }

  async send(submission, waits) {
    const { digest, content, text, author } = submission;
    await this.ask('PUT', `blobs/${digest}`, content, 'application/octet-stream');
    const headers = waits ? {} : { prefer: 'respond-async' };
    const { status, body } = await this.ask('POST', 'submissions', text, 'application/json', headers);
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
    for (let tries = 0; ; tries++) {
      const { body } = await this.ask('GET', `submissions/${id}`);
      if (body.state === 'refused') broken(`an accepted submission was refused: ${JSON.stringify(body.refusal)}`);
      if (body.state === 'published') break;
      if (tries > 500) broken('an accepted submission was not published');
      await pause(10);
    }
    this.acknowledged.set(submission.path, submission.digest);
    for (const one of this.acceptedIds) if (one.id === id) this.acceptedIds.delete(one);
  }

  async ask(method, address, body, type, headers = {}) {
    const response = await fetch(`${this.url}/api/v1/main/${address}`, {
      method,
      headers: { authorization: `Bearer ${this.token}`, ...(type && { 'content-type': type }), ...headers },
      ...(body && { body }),
    });
    const answer = await response.json();
    if (response.status >= 400) broken(`${method} ${address}: ${response.status} ${JSON.stringify(answer)}`);
    return { status: response.status, body: answer };
  }

  /** While the server is down: everything acknowledged is there for the client that was there before. */
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

  /** With the server up again: accepted ones are published, the others are there or not, and go through when sent again. */
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
      await this.send(submission, true);
      author.present = next;
    }
    this.unanswered.clear();
    await this.witness.refresh();
  }

  async poll(client) {
    while (this.polling) {
      const known = [...this.acknowledged.keys()];
      await client.refresh();
      const path = known[Math.floor(this.random.apart() * known.length)];
      if (path !== undefined && (await client.find(path)) === undefined) broken(`${path} is hidden`);
      this.counts.refreshes++;
      await pause(2);
    }
  }

  /** Throws what the poller has met. */
  async healthy() {
    await Promise.race([this.poller, pause(0)]);
  }

  async client(name) {
    return await openNodeClient({ url: this.web.url, folder: join(this.scratch, name), anchor: this.anchor });
  }
}

/** A promise of the service that was broken; anything else that fails while it is killed is expected. */
class Broken extends Error {}

function broken(problem) {
  throw new Broken(problem);
}

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

/** Any static web server over a collection's site. */
async function staticServer(folder) {
  const server = createServer((request, response) => {
    const path = normalize(decodeURIComponent(request.url ?? ''));
    readFile(join(folder, path)).then(
      (bytes) => response.end(bytes),
      () => response.writeHead(404).end(),
    );
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      }),
  };
}

function pause(millis) {
  return new Promise((resolve) => setTimeout(resolve, millis));
}

/** Seeded numbers from 0 to 1 (mulberry32); `apart` draws from a stream of its own, so that polling disturbs nothing. */
function randomOf(seed) {
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
