// A plain collection of files in path-hash bins, in a process of its own
// (forked by bins.mjs), over the engine's public surface with the embedded
// store and keys in memory. Asked one thing at a time:
//   { create: { folder, bitLength, form } }   gives { created, opened } in milliseconds
//   { list: { count, parts } }                lists that many targets, whose content lies elsewhere; gives { listed }
//   { publish: { path, bytes } }              uploads one more and lists it; gives {} once clients can see it

import { createHash, randomUUID } from 'node:crypto';
import { nodeCrypto, sha256 } from '@countersign/client/node';
import { createCollection, Repository, submissionText } from '@countersign/repository';
import { openEmbeddedStore } from '@countersign/repository/embedded';
import { generateSigner } from '@countersign/signers';
import { nextMessage } from './children.mjs';

const KEYS = ['timestamp', 'snapshot', 'recent', 'unclaimed', 'decisions', 'bins'];
let repository;
for (;;) {
  const order = await nextMessage();
  if (order.create) process.send(await create(order.create));
  if (order.list) process.send(await list(order.list));
  if (order.publish) process.send(await publish(order.publish));
  if (order.close) {
    await repository.close();
    process.send({}, () => process.exit(0));
  }
}

async function create({ folder, bitLength, form }) {
  const signers = Object.fromEntries(KEYS.map((key) => [key, generateSigner()]));
  const from = performance.now();
  const store = await openEmbeddedStore(folder, 'publish');
  const genesis = {
    offline: [generateSigner()],
    threshold: 1,
    online: signers,
    shardDigits: 0,
    bins: { bitLength, form },
  };
  const anchor = await createCollection(store.ledger, genesis, Date.now(), sha256);
  const created = performance.now() - from;
  repository = await Repository.open({
    name: 'main',
    ...store,
    signers,
    ecosystems: { project: refuse, checkFileName: refuse, immutable: () => false },
    inspect: async () => undefined,
    crypto: nodeCrypto,
    sha256,
    clock: Date.now,
    newId: randomUUID,
  });
  return { created, opened: performance.now() - from, anchor: Buffer.from(anchor).toString('base64') };
}

/** Lists targets part by part, each part a range of bins: so every bin is written once, and one part is all that memory holds. */
async function list({ count, parts }) {
  const members = sorted(count, parts);
  let listed = 0;
  for (const part of members) {
    await repository.importFiles(Array.from(part, target), 'elsewhere');
    listed += part.length;
    if (process.connected) process.send({ progress: listed });
  }
  return { listed };
}

/** The numbers of all targets, by the part that their path falls into: parts is a power of two. */
function sorted(count, parts) {
  const shift = 32 - Math.log2(parts);
  const place = (i) => (parts === 1 ? 0 : createHash('sha256').update(pathOf(i)).digest().readUInt32BE() >>> shift);
  const sizes = new Uint32Array(parts);
  const places = new Uint32Array(count);
  for (let i = 0; i < count; i++) sizes[(places[i] = place(i))]++;
  const members = Array.from(sizes, (size) => new Uint32Array(size));
  for (let i = count - 1; i >= 0; i--) members[places[i]][--sizes[places[i]]] = i;
  return members;
}

function target(i) {
  const digest = createHash('sha256').update(`content ${i}`).digest('hex');
  return { path: pathOf(i), length: 1000 + (i % 9000), hashes: new Map([['sha256', digest]]), custom: undefined };
}

function pathOf(i) {
  return `packages/${(i % 4096).toString(16)}/some-package-${i}.tar.gz`;
}

async function publish({ path, bytes }) {
  const content = Buffer.from(bytes, 'base64');
  const digest = createHash('sha256').update(content).digest('hex');
  await repository.putBlob(digest, one(content));
  const { published } = await repository.submit(submissionText({ files: [{ path, sha256: digest }] }));
  await published;
  return {};
}

async function* one(chunk) {
  yield chunk;
}

function refuse() {
  throw new TypeError('A plain collection has no names');
}
