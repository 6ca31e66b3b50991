// Drives tuf-js's own client, and its models to make repositories. Asked with
// one JSON object as its one argument, it answers with one line of JSON
// (tools/peers/peers.mjs says what is in them). It fetches and reports, judges
// nothing: every failure is the peer's own error, by class.

import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Updater } from 'tuf-js';
import { makeRepository } from './make.mjs';

function openClient(asked, folder) {
  const metadataDir = join(folder, 'metadata');
  const targetDir = join(folder, 'targets');
  mkdirSync(metadataDir, { recursive: true });
  mkdirSync(targetDir, { recursive: true });
  // It trusts the root.json that it finds.
  if (!existsSync(join(metadataDir, 'root.json'))) copyFileSync(asked.rootFile, join(metadataDir, 'root.json'));
  // It joins URLs with a slash of its own.
  const [metadataBaseUrl, targetBaseUrl] = [asked.metadataUrl, asked.targetsUrl].map((url) => url.replace(/\/+$/, ''));
  // Its limits are out of the way: they are not what is looked at.
  const limits = { snapshotMaxLength: 2 ** 30, targetsMaxLength: 2 ** 30 };
  const config = { fetchRetry: false, fetchTimeout: 20_000, ...limits };
  return new Updater({ metadataDir, metadataBaseUrl, targetDir, targetBaseUrl, config });
}

/** Refreshes once, then finds and downloads each target. */
async function fetchTargets(asked) {
  const updater = openClient(asked, asked.outFolder);
  await updater.refresh();
  const files = [];
  for (const path of asked.targetPaths) files.push(await answerFor(updater, path).catch(failure));
  return { files: files.map((file) => ({ ok: file.error === undefined, ...file })) };
}

async function answerFor(updater, targetPath) {
  const target = await updater.getTargetInfo(targetPath);
  if (target === undefined) return { error: 'TargetNotFound', message: targetPath };
  const path = await updater.downloadTarget(target);
  const content = readFileSync(path);
  return { path, length: content.length, sha256: createHash('sha256').update(content).digest('hex') };
}

/** Times refreshing and finding the targets, each round from an empty cache. */
async function measure(asked) {
  const nanos = [];
  for (let round = 0; round < asked.rounds; round++) {
    const folder = join(asked.outFolder, `round-${round}`);
    mkdirSync(folder, { recursive: true });
    const begin = process.hrtime.bigint();
    const updater = openClient(asked, folder);
    await updater.refresh();
    for (const path of asked.targetPaths) {
      if ((await updater.getTargetInfo(path)) === undefined) throw new Error(`Not found: ${path}`);
    }
    nanos.push(Number(process.hrtime.bigint() - begin));
    rmSync(folder, { recursive: true });
  }
  return { nanos };
}

async function carryOut(asked) {
  if (asked.now !== undefined) throw new RangeError('It cannot be told the time');
  if (asked.do === 'fetch') return fetchTargets(asked);
  if (asked.do === 'time') return measure(asked);
  return makeRepository(asked.plan, asked.outFolder);
}

function failure(error) {
  return { error: error.constructor.name, message: String(error.message) };
}

const answer = await carryOut(JSON.parse(process.argv[2])).catch(failure);
console.log(JSON.stringify(answer));
