// The authors of the load, in a process of their own (forked by clients.mjs):
// each has a project of its own and everything it will send signed beforehand,
// so that during the measured time this process only sends and waits.
// Asked { service, authors, each, length, seconds } it gives { roles }, and
// asked 'go' { sent, times, last }.

import { Author } from './authors.mjs';
import { nextMessage } from './children.mjs';
import { connections, post, putBlob } from './service.mjs';

const { service, authors, each, length, seconds } = await nextMessage();
const own = connections(authors);
const load = [];
for (let i = 0; i < authors; i++) {
  const author = new Author(`load-${i}`);
  await post(service, own, await author.claim());
  const artifacts = [];
  for (let j = 0; j < each; j++) artifacts.push(await author.next(length));
  load.push({ author, artifacts });
}
process.send({ roles: load.map(({ author }) => author.role) });
await nextMessage();

const times = [];
const end = performance.now() + seconds * 1000;
const last = await Promise.all(load.map(({ artifacts }) => publishAll(artifacts)));
process.send({ sent: times.length, times, last });

/** One author's time: one artifact after the other. Gives the last path that was answered 201. */
async function publishAll(artifacts) {
  let published;
  for (const artifact of artifacts) {
    if (performance.now() >= end) break;
    const from = performance.now();
    await putBlob(service, own, artifact);
    await post(service, own, artifact.body);
    times.push(performance.now() - from);
    published = artifact.path;
  }
  return published;
}
