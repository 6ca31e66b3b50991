// The process of the proof in disk-full.mjs: mounts the small disk, keeps the
// collection and the node on it, and everybody else elsewhere.

import { execFileSync } from 'node:child_process';
import { closeSync, fsyncSync, mkdirSync, mkdtempSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createCollectionFolder } from '@countersign/server';
import { staticServer } from './kill-rounds.mjs';
import { NodeProcess } from './node-process.mjs';
import { broken, randomOf, until, Workload } from './workload.mjs';

const [step, sweeps, seed] = process.argv.slice(2).map(Number);
const scratch = mkdtempSync(join(tmpdir(), 'countersign-full-'));
const disk = join(scratch, 'disk');
const ballast = join(disk, 'ballast');
const counts = {
  sweeps,
  steps: 0,
  refusedFor: 0,
  wentThrough: 0,
  heldUp: 0,
  slowestRecoveryMs: 0,
  starts: 0,
  startsRefused: 0,
};
let node;
let web;
let workload;
try {
  mkdirSync(disk);
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=96m`, 'tmpfs', disk]);
  const folder = join(disk, 'collection');
  const passphrases = async () => 'only for the proof';
  const { anchor, token } = await createCollectionFolder({ folder, name: 'main', passphrases, clock: Date.now });
  web = await staticServer(join(folder, 'site'));
  const nodeFor = () => node?.url;
  const random = randomOf(seed);
  workload = new Workload({ scratch, random, anchor, token, siteUrl: web.url, nodeFor, authors: 1, maySay5xx: true });
  await workload.begin();
  node = new NodeProcess({ folder, retryEvery: 100 });
  await node.ready();
  const [author] = workload.authors;
  for (let sweep = 0; sweep < sweeps; sweep++) {
    let through = 0;
    for (let pages = 0; through < 4; pages += step) {
      through = (await attempt(author, pages)) ? through + 1 : 0;
      counts.steps++;
      if (counts.steps % 50 === 0) say(JSON.stringify(counts));
    }
  }
  for (let pages = 0; pages < 40; pages += step * 4) await startOn(folder, pages);
  await workload.end();
  process.stdout.write(
    `${JSON.stringify({ ...counts, ...workload.counts, codes: Object.fromEntries(workload.codes) })}\n`,
  );
} catch (error) {
  process.stderr.write(`${error.stack ?? error}\n`);
  process.exitCode = 1;
} finally {
  if (workload) workload.polling = false;
  await node?.kill();
  await workload?.stopPolling().catch(() => undefined);
  await web?.close();
  execFileSync('umount', ['-l', disk]);
  rmSync(scratch, { recursive: true, force: true });
  process.disconnect?.();
}

/** One submission with this much room. Tells whether it went through. */
async function attempt(author, pages) {
  const submission = await workload.prepare(author);
  fill(pages);
  let went = true;
  const { refused } = workload.counts;
  try {
    await workload.send(submission, true);
    counts.wentThrough++;
  } catch (error) {
    if (error.constructor.name === 'Broken' || workload.counts.refused === refused) throw error;
    went = false;
    counts.refusedFor++;
    const { status } = await node.health();
    if (status !== 'troubled')
      broken(`with ${pages} pages left a submission was refused, and the service says ${status}`);
    // What is published is still there, and whole.
    await workload.look();
  }
  await workload.healthy();
  free();
  const recovery = await until(async () => (await node.health()).status === 'ok', 'health with room again', 20_000);
  counts.slowestRecoveryMs = Math.max(counts.slowestRecoveryMs, Math.round(recovery));
  if (!went) await again(submission);
  await workload.look();
  return went;
}

/** What was held up is published by itself; what was refused goes through when sent again. */
async function again(submission) {
  await workload.witness.refresh();
  const listed = workload.witness.trusted.snapshot?.content.meta.get(submission.role)?.version ?? 0;
  if (listed === submission.next.version) counts.heldUp++;
  await workload.send(submission, true);
}

/** A node that starts with this much room serves, or says why not; with room it starts. */
async function startOn(folder, pages) {
  await node.kill();
  fill(pages);
  counts.starts++;
  node = new NodeProcess({ folder, retryEvery: 100 });
  await node.ready().catch((error) => {
    if (!/STORE_(READ|WRITE)/.test(error.message)) throw error;
    counts.startsRefused++;
  });
  await workload.look();
  free();
  if (node.alive && node.url !== undefined) return;
  await node.kill();
  node = new NodeProcess({ folder, retryEvery: 100 });
  await node.ready();
}

function fill(pages) {
  const file = openSync(ballast, 'a');
  const block = Buffer.alloc(statfsSync(disk).bsize);
  try {
    for (let left = statfsSync(disk).bavail - pages; left > 0; left--) writeSync(file, block);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function free() {
  rmSync(ballast, { force: true });
}

function say(line) {
  process.stdout.write(`${line}\n`);
}
