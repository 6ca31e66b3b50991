// One artifact at a time, from an author's hands to a second client, on an
// otherwise idle service; beside it Notary's server. Both are asked the same
// way: a prebuilt, presigned submission is posted, and somebody else polls
// without pause. Our bounds count a second client that verifies everything, from
// the first byte of the upload on.

import { join } from 'node:path';
import { Client, collectionUrls, memoryState } from '@countersign/client';
import { httpTransport, nodeCrypto } from '@countersign/client/node';
import { metadataUrl, openEnvelope, readSnapshot, readTargets, readTimestamp } from '@countersign/core';
import { median, ms, percentile, table } from '../measure.mjs';
import { Author } from './authors.mjs';
import { notaryShows, notarySubmission, startNotary } from './notary.mjs';
import { startPostgres } from './postgres.mjs';
import { connections, makeCollection, post, putBlob, startService } from './service.mjs';

/** Artifacts before the first that counts. */
export const WARM_UP = 20;
/** Bytes of one artifact. */
const ARTIFACT = 4096;
const LIMIT = { p50: 60, p99: 300 };

/** Case a. */
export async function latency({ scratch, quick, bound, say }) {
  const count = quick ? 40 : 300;
  const state = join(scratch, 'latency');
  await makeCollection(state);
  const service = await startService(state);
  const postgres = await startPostgres();
  const notary = await startNotary(join(scratch, 'notary-memory'), 'memory');
  const notaryInSql = await startNotary(join(scratch, 'notary-sql'), postgres);
  try {
    const author = new Author('bench');
    const own = connections(4);
    await post(service, own, await author.claim());
    const second = await secondClient(service);
    const ways = [
      { name: 'countersign', publish: () => publishOne(service, own, author, second) },
      { name: 'countersign, from POST', publish: () => publishForReader(service, own, author) },
    ];
    for (const peer of [notary, notaryInSql]) {
      if (peer.missing === undefined) {
        ways.push({ name: `${peer.name}, from POST`, publish: () => publishToNotary(peer, own) });
      } else say(`MISSING ${peer.missing}`);
    }
    say(`${count} artifacts of ${ARTIFACT} bytes each way, one at a time and in turn, after ${WARM_UP} to warm up;`);
    say("ours from the first byte of the upload, and from POST as Notary's, which is sent no bytes");
    const measured = await timesOf(
      count,
      ways.map(({ publish }) => publish),
    );
    const rows = ways.flatMap(({ name }, i) => [
      [`${name}: answered`, measured[i].answered],
      [
        `${name}: ${i === 0 ? 'found by a second client, which verifies' : 'read by a second client'}`,
        measured[i].visible,
      ],
    ]);
    if (notary.missing === undefined) {
      rows.push([`${notary.name}: its command \`addhash -p\`, less its start`, await notaryCommand(notary, quick)]);
    }
    table(
      ['', 'p50', 'p90', 'p99', 'max'],
      rows.map(([name, times]) => [name, ...[50, 90, 99, 100].map((p) => ms(percentile(times, p)))]),
    );
    say('RSTUF is in no package registry; measured from its sources on two such cores before: 3.2 s for one artifact');
    const [whole, wire] = measured;
    bound('a: p50 until found by a second client', median(whole.visible), '≤', LIMIT.p50, 'ms');
    bound('a: p99 until found by a second client', percentile(whole.visible, 99), '≤', LIMIT.p99, 'ms');
    if (notaryInSql.missing === undefined) {
      // Only this one keeps what it acknowledges, as ours does; it is the last way.
      const ratio = median(wire.visible) / median(measured.at(-1).visible);
      bound(`a: time until read, ratio to ${notaryInSql.name}`, ratio, '<', 1, '');
    }
    own.close();
  } finally {
    await service.stop();
    await notary.stop?.();
    await notaryInSql.stop?.();
    await postgres.stop?.();
  }
}

/** A client that verifies everything and keeps what it trusts in memory: how fast its disk is tells nothing of the service. */
export async function secondClient({ url, anchor }) {
  return await Client.open({
    ...collectionUrls(url),
    transport: httpTransport(),
    state: memoryState(),
    crypto: nodeCrypto,
    clock: Date.now,
    anchor,
  });
}

/** Uploads, posts, and waits both for the answer and for a polling client: milliseconds. */
export async function publishOne(service, own, author, second) {
  const artifact = await author.next(ARTIFACT);
  const from = performance.now();
  await putBlob(service, own, artifact);
  return await both(from, post(service, own, artifact.body), async () => {
    await second.refresh();
    return (await second.find(artifact.path)) !== undefined;
  });
}

/** Publishes in several ways in turn; gives of each `{ answered, visible }`, in milliseconds. */
export async function timesOf(count, ways) {
  const measured = ways.map(() => ({ answered: [], visible: [] }));
  for (let i = 0; i < WARM_UP + count; i++) {
    for (const [at, publish] of ways.entries()) {
      const times = await publish();
      if (i < WARM_UP) continue;
      measured[at].answered.push(times.answered);
      measured[at].visible.push(times.visible);
    }
  }
  return measured;
}

/** The same for a client that follows the metadata without checking it, as the one that Notary is read by. */
async function publishForReader(service, own, author) {
  const artifact = await author.next(ARTIFACT);
  await putBlob(service, own, artifact);
  const read = async (role, version, kind) => {
    const { body } = await own.send('GET', `${service.url}/metadata/${metadataUrl(role, version)}`, {});
    return kind(openEnvelope(body, role).signed, role);
  };
  return await both(performance.now(), post(service, own, artifact.body), async () => {
    const timestamp = await read('timestamp', undefined, readTimestamp);
    const snapshot = await read('snapshot', timestamp.snapshot.version, readSnapshot);
    const targets = await read(author.role, snapshot.meta.get(author.role).version, readTargets);
    return targets.targets.has(artifact.path);
  });
}

async function publishToNotary(peer, own) {
  const { target, headers, body } = notarySubmission(peer);
  const posted = own.send('POST', `${peer.url}/v2/${peer.gun}/_trust/tuf/`, headers, body);
  return await both(performance.now(), posted, () => notaryShows(peer, own, target));
}

/** What its command takes for one artifact, less the least that starting it takes. */
async function notaryCommand(peer, quick) {
  const timed = async (...args) => {
    const from = performance.now();
    await peer.command(...args);
    return performance.now() - from;
  };
  const starts = [];
  const times = [];
  for (let i = 0; i < (quick ? 5 : 20); i++) {
    starts.push(await timed('version'));
    times.push(await timed('addhash', '-p', peer.gun, `by-command-${i}`, '4096', '--sha256', 'ab'.repeat(32)));
  }
  return times.map((time) => time - median(starts));
}

async function both(from, posted, poll) {
  let answered;
  const answer = posted.then(() => {
    answered = performance.now() - from;
  });
  // A refusal ends the waiting.
  const refused = new Promise((_, reject) => posted.catch(reject));
  while (!(await Promise.race([poll(), refused])));
  const visible = performance.now() - from;
  await answer;
  return { answered, visible };
}
