// nginx from Debian's package as a peer, at its best for small static files:
// kept connections, sendfile, a cache of open files, no access log.

import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { debianPackage } from './debian.mjs';
import { freePort } from './notary.mjs';

/**
 * Starts nginx over files of its own.
 *
 * @param files `{ path, bytes }`
 * @returns `{ name, pids, ports, processes, stop }`, or `{ missing }` with the reason
 */
export async function startNginx(folder, processes, files) {
  const debian = await debianPackage('nginx');
  if (debian.missing !== undefined) return debian;
  for (const { path, bytes } of files) {
    const place = join(folder, 'site', path);
    mkdirSync(dirname(place), { recursive: true });
    writeFileSync(place, bytes);
  }
  const port = await freePort();
  const config = join(folder, 'nginx.conf');
  writeFileSync(config, configuration(folder, port, processes));
  const args = ['-e', 'stderr', '-p', folder, '-c', config];
  const child = spawn(join(debian.folder, 'usr', 'sbin', 'nginx'), args, { stdio: 'ignore' });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.once('error', () => undefined); // shows below
  const stop = async () => {
    child.kill('SIGTERM');
    await ended;
  };
  let last = '';
  for (let tries = 0; tries < 100; tries++) {
    const answer = await fetch(`http://127.0.0.1:${port}${files[0].path}`).catch(String);
    if (answer.ok) return { name: `nginx ${debian.version}`, pids: [child.pid], ports: [port], processes, stop };
    last = answer.status ?? answer;
    await sleep(50);
  }
  await stop();
  return { missing: `nginx does not run here: ${last}` };
}

function configuration(folder, port, processes) {
  const kinds = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return `
${process.getuid?.() === 0 ? 'user root;' : ''}
daemon off;
worker_processes ${processes};
pid ${folder}/pid;
error_log stderr error;
events { worker_connections 1024; }
http {
  ${kinds.map((kind) => `${kind}_temp_path ${folder}/${kind};`).join(' ')}
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000000;
  open_file_cache max=10000;
  types { application/json json; }
  server { listen 127.0.0.1:${port}; root ${folder}/site; }
}
`;
}
