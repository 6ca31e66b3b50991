// Metadata served: the same files by our service and by nginx from Debian's
// package, asked the same way in turn, with one process each and with one per
// core (`serve --processes`). Compared are requests for a second of the server's own CPU, user and
// system, from /proc: how fast the load generator is does not matter then.
// Kept connections, no access log on either side.

import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { median, table } from '../measure.mjs';
import { Author } from './authors.mjs';
import { startChild } from './children.mjs';
import { startNginx } from './nginx.mjs';
import { cpuSeconds } from './process-use.mjs';
import { connections, makeCollection, post, startService } from './service.mjs';

/** Projects, so that the snapshot has some 100 KB. */
const PROJECTS = 1700;
const ROLES = 64;
const CONNECTIONS = 50;
const LIMIT = { one: 0.3, each: 0.5 };

/** Case f. */
export async function serving({ scratch, quick, bound, say }) {
  const rounds = quick ? 3 : 7;
  const seconds = quick ? 1.5 : 2;
  const cores = availableParallelism();
  const state = join(scratch, 'serving');
  await makeCollection(state);
  const files = await publishFiles(state);
  say(`${CONNECTIONS} kept connections, ${rounds} rounds of ${seconds} s in turn, medians`);
  const rows = [];
  for (const processes of new Set([1, cores])) {
    const service = await startService(state, { processes });
    const nginx = await startNginx(
      join(scratch, `nginx-${processes}`),
      processes,
      files.flatMap(({ paths }) => paths),
    );
    const ours = { name: 'countersign', pids: [service.pid], ports: [service.port], processes };
    try {
      if (nginx.missing !== undefined) say(`MISSING ${nginx.missing}`);
      const servers = nginx.missing === undefined ? [ours, nginx] : [ours];
      for (const { title, paths } of files) {
        const measured = await compare(servers, paths, { rounds, seconds });
        const ratio = measured[0].perCpuSecond / (measured[1]?.perCpuSecond ?? Number.NaN);
        for (const [i, { perCpuSecond, rate, busy }] of measured.entries()) {
          const columns = [perCpuSecond, rate, busy * 100].map((value) => Math.round(value).toLocaleString('en'));
          rows.push([title, processes, servers[i].name, ...columns, i === 0 ? ratio.toFixed(2) : '']);
        }
        const limit = processes === 1 ? LIMIT.one : LIMIT.each;
        if (servers.length > 1) bound(`f: ${title}, ${processes} process(es), ratio to nginx`, ratio, '≥', limit, '');
      }
    } finally {
      await service.stop();
      await nginx.stop?.();
    }
  }
  table(['files', 'processes', 'server', 'requests per CPU second', 'requests per second', 'CPU %', 'ratio'], rows);
}

/** Publishes what will be served: `{ title, paths: [{ path, bytes }] }` of each kind of file. */
async function publishFiles(state) {
  const service = await startService(state);
  const own = connections(16);
  try {
    const authors = Array.from({ length: PROJECTS }, (_, i) => new Author(`project-${String(i).padStart(5, '0')}`));
    const claims = await Promise.all(authors.map((author) => author.claim()));
    await Promise.all(claims.map((body) => post(service, own, body)));
    const file = async (name) => {
      const { body } = await own.send('GET', `${service.url}/metadata/${name}`, {});
      return { path: `/main/metadata/${name}`, bytes: body };
    };
    const timestamp = await file('timestamp.json');
    const { version } = JSON.parse(timestamp.bytes).signed.meta['snapshot.json'];
    const snapshot = await file(`${version}.snapshot.json`);
    const roles = await Promise.all(authors.slice(0, ROLES).map(({ role }) => file(`1.${role}.json`)));
    const size = ({ bytes: { length } }) => (length < 10_000 ? `${length} bytes` : `${Math.round(length / 1000)} KB`);
    return [
      { title: `timestamp, ${size(timestamp)}`, paths: [timestamp] },
      { title: `snapshot, ${size(snapshot)}`, paths: [snapshot] },
      { title: `${ROLES} roles, ${size(roles[0])}`, paths: roles },
    ];
  } finally {
    own.close();
    await service.stop();
  }
}

/** Loads servers in turn; gives the medians of each: `{ perCpuSecond, rate, busy }`. */
async function compare(servers, paths, { rounds, seconds }) {
  const results = servers.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (const [i, server] of servers.entries()) results[i].push(await load(server, paths, seconds));
  }
  return results.map((all) =>
    Object.fromEntries(Object.keys(all[0]).map((key) => [key, median(all.map((one) => one[key]))])),
  );
}

/** One round of requests for some files in turn, from one process for each of the server's. */
async function load({ pids, ports, processes = ports.length }, files, seconds) {
  const children = Array.from({ length: processes }, () => startChild('./requests.mjs'));
  const paths = files.map(({ path, bytes }) => ({ path, length: bytes.length }));
  try {
    const order = { seconds, connections: Math.round(CONNECTIONS / processes), paths };
    await Promise.all(children.map((child, i) => child.ask({ ...order, port: ports[i % ports.length] })));
    const before = pids.map(cpuSeconds);
    const from = performance.now();
    const counts = await Promise.all(children.map((child) => child.ask('go')));
    const took = (performance.now() - from) / 1000;
    const used = pids.map(cpuSeconds).reduce((sum, now, i) => sum + now - before[i], 0);
    const requests = counts.reduce((sum, { answered }) => sum + answered, 0);
    return { perCpuSecond: requests / used, rate: requests / took, busy: used / took };
  } finally {
    for (const child of children) child.stop();
  }
}
