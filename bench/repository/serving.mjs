// Metadata served: the same files by our service and by nginx from Debian's
// package, asked the same way in turn. The servers are compared by requests a
// second of their own CPU, user and system, from /proc: how fast the load
// generator is does not matter then. Keep-alive, no logs on either side.

import { fork } from 'node:child_process';
import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { median, ms, table } from '../measure.mjs';
import { debianPackage } from './debian.mjs';
import { Author } from './authors.mjs';
import { freePort } from './notary.mjs';
import { cpuSeconds } from './process-use.mjs';
import { connections, makeCollection, post, startService } from './service.mjs';

/** Projects, so that the snapshot has some 100 KB. */
const PROJECTS = 1700;
const CONNECTIONS = 50;
const LIMIT = { one: 0.3, each: 0.5 };

/** Case f. */
export async function serving({ scratch, quick, bound, say }) {
  const rounds = quick ? 3 : 9;
  const seconds = quick ? 1.5 : 3;
  const state = join(scratch, 'serving');
  await makeCollection(state);
  let service = await startService(state);
  const files = await publishFiles(service);
  const nginx = await startNginx(join(scratch, 'nginx'), service, files);
  const servers = [{ name: 'countersign', pid: service.pid, port: service.port, base: '/main/metadata' }];
  if (nginx.missing === undefined) servers.push(nginx);
  else say(`MISSING ${nginx.missing}`);
  try {
    const rows = [];
    for (const { title, paths } of files) {
      const results = servers.map(() => []);
      for (let round = 0; round < rounds; round++) {
        for (const [i, server] of servers.entries()) results[i].push(await load(server, paths, seconds));
      }
      const perCpu = results.map((all) => median(all.map((one) => one.perCpuSecond)));
      for (const [i, { name }] of servers.entries()) {
        const rate = median(results[i].map((one) => one.rate));
        const busy = median(results[i].map((one) => one.busy));
        rows.push([title, name, perCpu[i].toFixed(0), rate.toFixed(0), `${(busy * 100).toFixed(0)} %`, (perCpu[i] / perCpu.at(-1)).toFixed(2)]);
      }
      if (servers.length > 1) bound(`f: ${title}, one process, ratio to nginx`, perCpu[0] / perCpu[1], '≥', LIMIT.one, '');
    }
    say(`${CONNECTIONS} connections kept alive, ${rounds} rounds of ${seconds} s in turn, medians`);
    table(['files', 'server', 'requests per CPU second', 'requests a second', 'CPU', 'ratio to nginx'], rows);
  } finally {
    await service.stop();
    await nginx.stop?.();
  }
}

/** Publishes what will be served: `{ title, paths }`, with the bytes of each path. */
async function publishFiles(service) {
  const own = connections(16);
  const authors = Array.from({ length: PROJECTS }, (_, i) => new Author(`project-${String(i).padStart(5, '0')}`));
  const claims = await Promise.all(authors.map((author) => author.claim()));
  await Promise.all(claims.map((body) => post(service, own, body)));
  const read = async (name) => (await own.send('GET', `${service.url}/metadata/${name}`, {})).body;
  const timestamp = await read('timestamp.json');
  const { version } = JSON.parse(timestamp).signed.meta['snapshot.json'];
  const file = async (name) => ({ name, bytes: await read(name) });
  const roles = await Promise.all(authors.slice(0, 64).map(({ role }) => file(`1.${role}.json`)));
  const snapshot = await file(`${version}.snapshot.json`);
  const times = { name: 'timestamp.json', bytes: timestamp };
  own.close();
  const size = (bytes) => (bytes < 10_000 ? `${bytes} bytes` : `${Math.round(bytes / 1000)} KB`);
  return [
    { title: `timestamp, ${size(timestamp.length)}`, paths: [times] },
    { title: `snapshot, ${size(snapshot.bytes.length)}`, paths: [snapshot] },
    { title: `64 roles, ${size(roles[0].bytes.length)}`, paths: roles },
  ];
}

async function startNginx(folder, service, files) {
  const debian = await debianPackage('nginx');
  if (debian.missing !== undefined) return debian;
  const site = join(folder, 'site', 'main', 'metadata');
  mkdirSync(site, { recursive: true });
  for (const { paths } of files) for (const { name, bytes } of paths) writeFileSync(join(site, name), bytes);
  const port = await freePort();
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${folder}/${kind};`);
  writeFileSync(
    join(folder, 'nginx.conf'),
    `${process.getuid?.() === 0 ? 'user root;' : ''} daemon off; worker_processes 1; pid ${folder}/pid; error_log stderr error;
     events { worker_connections 1024; }
     http {
       ${temporary.join(' ')}
       access_log off; sendfile on; tcp_nopush on; tcp_nodelay on;
       keepalive_requests 1000000000; keepalive_timeout 600s; open_file_cache max=10000;
       types { application/json json; }
       server { listen 127.0.0.1:${port}; root ${folder}/site; }
     }`,
  );
  const child = spawn(join(debian.folder, 'usr/sbin/nginx'), ['-e', 'stderr', '-p', folder, '-c', join(folder, 'nginx.conf')], { stdio: 'ignore' });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.once('error', () => undefined); // shows below
  const peer = {
    name: `nginx ${debian.version}`,
    pid: child.pid,
    port,
    base: '/main/metadata',
    async stop() {
      child.kill('SIGTERM');
      await ended;
    },
  };
  for (let tries = 0; ; tries++) {
    const answer = await fetch(`http://127.0.0.1:${port}/main/metadata/timestamp.json`).catch((error) => error);
    if (answer instanceof Response && answer.ok) return peer;
    if (tries < 100) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      continue;
    }
    await peer.stop();
    return { name: 'nginx', missing: `nginx does not run here: ${answer instanceof Response ? answer.status : answer.message}` };
  }
}

/** Loads a server with requests for some files in turn, from processes of their own. */
async function load({ pid, port, base }, files, seconds) {
  const children = [fork(fileURLToPath(new URL('./requests.mjs', import.meta.url)))];
  const share = { port, seconds, connections: CONNECTIONS / children.length, paths: files.map(({ name, bytes }) => ({ path: `${base}/${name}`, length: bytes.length })) };
  try {
    await Promise.all(children.map(async (child) => {
      const ready = answerOf(child);
      child.send(share);
      await ready;
    }));
    const before = cpuSeconds(pid);
    const from = performance.now();
    const counts = await Promise.all(children.map(async (child) => {
      const answer = answerOf(child);
      child.send('go');
      return await answer;
    }));
    const took = (performance.now() - from) / 1000;
    const used = cpuSeconds(pid) - before;
    const requests = counts.reduce((sum, { answered }) => sum + answered, 0);
    return { perCpuSecond: requests / used, rate: requests / took, busy: used / took };
  } finally {
    for (const child of children) child.kill();
  }
}

function answerOf(child) {
  return new Promise((resolve, reject) => {
    child.once('message', resolve);
    child.once('exit', (code) => reject(new Error(`The load ended with ${code}`)));
  });
}
