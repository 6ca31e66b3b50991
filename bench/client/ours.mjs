// Our client as a program that the benchmark drives like its peers: one JSON
// object as its one argument, one line of JSON out. Uses the public API only,
// with default settings; what is timed is from opening a client to the answer.
//   time      refresh and find the targets, `rounds` times, each from an empty cache
//   warm      the same client refreshes again when nothing has changed
//   lookups   one client, refreshed once, finds each of the targets
//   download  refresh, find and download the first target

import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileSink, httpTransport, openNodeClient } from '@countersign/client/node';

/** @typedef {{ do: string, metadataUrl: string, rootFile: string, targetPaths: string[], outFolder: string, rounds: number }} Asked */

const TASKS = { time, warm, lookups, download };

/** @type {Asked} */
const asked = JSON.parse(process.argv[2] ?? '{}');
const url = asked.metadataUrl.replace(/metadata\/$/, '');
const anchor = readFileSync(asked.rootFile);
const transport = httpTransport();
const nanos = await TASKS[asked.do]();
console.log(JSON.stringify({ nanos, maxRss: process.resourceUsage().maxRSS * 1024 }));

async function time() {
  const all = [];
  for (let round = 0; round < asked.rounds; round++) {
    const folder = join(asked.outFolder, `round-${round}`);
    mkdirSync(folder, { recursive: true });
    const begin = process.hrtime.bigint();
    const client = await open(folder);
    await client.refresh();
    for (const path of asked.targetPaths) await find(client, path);
    all.push(Number(process.hrtime.bigint() - begin));
    rmSync(folder, { recursive: true });
  }
  return all;
}

async function warm() {
  const client = await open(asked.outFolder);
  await client.refresh();
  const all = [];
  for (let round = 0; round < asked.rounds; round++) {
    const begin = process.hrtime.bigint();
    await client.refresh();
    for (const path of asked.targetPaths) await find(client, path);
    all.push(Number(process.hrtime.bigint() - begin));
  }
  return all;
}

async function lookups() {
  const client = await open(asked.outFolder);
  await client.refresh();
  const begin = process.hrtime.bigint();
  for (let i = 0; i < asked.rounds; i++) await find(client, asked.targetPaths[i % asked.targetPaths.length]);
  return [Number(process.hrtime.bigint() - begin)];
}

async function download() {
  const client = await open(asked.outFolder);
  await client.refresh();
  const { target } = await find(client, asked.targetPaths[0]);
  const begin = process.hrtime.bigint();
  await client.download(target, fileSink(join(asked.outFolder, 'downloaded')));
  return [Number(process.hrtime.bigint() - begin)];
}

function open(folder) {
  // Deep chains of delegations are measured too: the one limit that is in the way.
  return openNodeClient({ url, folder, anchor, transport, limits: { delegations: 4096 } });
}

async function find(client, path) {
  const found = await client.find(path);
  if (found === undefined) throw new Error(`Not found: ${path}`);
  return found;
}
