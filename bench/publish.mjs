// `npm run bench:publish`: how long from POST until a second client sees it.
// A real server in a process of its own on the embedded store; an author who
// publishes one file at a time; a second client that polls without pause with
// full verification. Options: --count 200, --concurrent 1.

import { fork } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { openNodeClient, sha256 } from '@countersign/client/node';
import {
  days,
  editTargets,
  openEnvelope,
  ownerRoleName,
  projectDirectory,
  readTargets,
  signFile,
  utf8Text,
} from '@countersign/core';
import { projectOf } from '@countersign/ecosystems';
import { signClaim, submissionText } from '@countersign/repository';
import { createCollectionFolder, openCollectionFolder, startServer } from '@countersign/server';
import { generateSigner } from '@countersign/signers';
import { machine, ms, percentile, table } from './measure.mjs';

if (process.send !== undefined) await serve();
else await main();

async function serve() {
  const folder = process.argv[2];
  const passphrases = async () => 'only for this benchmark';
  const { anchor, token } = await createCollectionFolder({ folder, name: 'main', passphrases, clock: Date.now });
  const collection = await openCollectionFolder({ folder, name: 'main', passphrases, clock: Date.now });
  const server = await startServer({ collections: [collection], port: 0 });
  process.send({ url: server.url, token, anchor: Buffer.from(anchor).toString('base64') });
  process.on('disconnect', () => {
    void server.close().then(() => process.exit(0));
  });
}

async function main() {
  const { values } = parseArgs({
    options: { count: { type: 'string', default: '200' }, warm: { type: 'string', default: '20' } },
  });
  const folder = await mkdtemp(join(tmpdir(), 'countersign-bench-'));
  const child = fork(fileURLToPath(import.meta.url), [join(folder, 'collection')]);
  try {
    const { url, token, anchor } = await new Promise((resolve, reject) => {
      child.once('message', resolve);
      child.once('exit', () => reject(new Error('The server did not start')));
    });
    const author = await claim(url, token);
    const second = await openNodeClient({
      url: `${url}/main`,
      folder: join(folder, 'second'),
      anchor: Buffer.from(anchor, 'base64'),
    });
    const answered = [];
    const visible = [];
    for (let i = 0; i < Number(values.count) + Number(values.warm); i++) {
      const seen = await publishOne(author, i, second);
      if (i < Number(values.warm)) continue;
      answered.push(seen.answered);
      visible.push(seen.visible);
    }
    console.log(
      `publish: one 4 KiB file at a time, embedded store, ${visible.length} measured after ${values.warm} warm-up`,
    );
    console.log(machine());
    table(
      ['from POST until', 'p50', 'p90', 'p99', 'max'],
      [
        ['visible to a second client', ...[50, 90, 99, 100].map((p) => ms(percentile(visible, p)))],
        ['answered 201', ...[50, 90, 99, 100].map((p) => ms(percentile(answered, p)))],
      ],
    );
  } finally {
    child.disconnect();
    await rm(folder, { recursive: true, force: true });
  }
}

async function claim(url, token) {
  const signer = generateSigner();
  const project = projectOf('files/bench');
  const role = ownerRoleName(project, 1);
  const file = await signFile(editTargets(undefined, { expires: Date.now() + days(3650) }), [signer]);
  const author = { url, token, signer, project, role, file };
  await post(author, [await signClaim('main', project, [signer])]);
  return author;
}

async function publishOne(author, number, second) {
  const bytes = randomBytes(4096);
  const digest = (algorithm) => createHash(algorithm).update(bytes).digest('hex');
  const hashes = new Map([
    ['sha256', digest('sha256')],
    ['sha512', digest('sha512')],
  ]);
  const path = `${projectDirectory(author.project, sha256)}/file-${number}.bin`;
  const api = `${author.url}/api/v1/main`;
  const headers = { authorization: `Bearer ${author.token}`, 'content-type': 'application/octet-stream' };
  await expectOk(await fetch(`${api}/blobs/${digest('sha256')}`, { method: 'PUT', headers, body: bytes }));
  const previous = readTargets(openEnvelope(author.file, author.role).signed, author.role);
  const target = { path, length: bytes.length, hashes, custom: undefined };
  // Only the newest ten stay listed, so that every round costs the same.
  const remove = [...previous.targets.keys()].slice(0, Math.max(0, previous.targets.size - 9));
  author.file = await signFile(editTargets(previous, { expires: Date.now() + days(3650), set: [target], remove }), [
    author.signer,
  ]);
  const from = performance.now();
  let answered;
  const posted = post(author, []).then(() => {
    answered = performance.now() - from;
  });
  while ((await second.refresh(), await second.find(path)) === undefined);
  const visible = performance.now() - from;
  await posted;
  return { answered, visible };
}

async function post({ url, token, role, file }, decisions) {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const body = submissionText({ decisions, roles: [{ role, file: utf8Text(file) }] });
  await expectOk(await fetch(`${url}/api/v1/main/submissions`, { method: 'POST', headers, body }));
}

async function expectOk(response) {
  if (!response.ok) throw new Error(`The server answered ${response.status}: ${await response.text()}`);
  await response.arrayBuffer();
}
