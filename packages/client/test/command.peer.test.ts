// The command `countersign-client` as it is shipped: one bundled file, started
// by its launcher, against a server of real files.

import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { World } from '@countersign/testkit';
import { afterAll, beforeAll, expect, it } from 'vitest';

const PACKAGE = fileURLToPath(new URL('..', import.meta.url));
const LAUNCHER = join(PACKAGE, 'bin', 'countersign-client.cjs');
const CERTIFICATE = join(PACKAGE, 'test', 'localhost', 'certificate.pem');

// Large enough to be read in place.
const LARGE = Buffer.from(Uint32Array.from({ length: 3 * 2 ** 20 }, (_, i) => i).buffer);
const YEAR = 365 * 86_400_000;
let folder: string;
let server: Server;
let secureServer: Server;
beforeAll(async () => {
  const windows = process.platform === 'win32';
  const bundled = await run(windows ? 'npm.cmd' : 'npm', ['run', 'bundle'], { shell: windows });
  expect(bundled).toMatchObject({ code: 0 });
  folder = await mkdtemp(join(tmpdir(), 'countersign-'));
  const world = new World();
  for (const draft of [world.root, world.timestamp, world.snapshot, world.targets]) draft.expires = Date.now() + YEAR;
  world.addTarget('targets', 'hello.txt', 'hello');
  world.addTarget('targets', 'large.bin', LARGE);
  world.publish();
  await writeFile(join(folder, 'root.json'), world.anchor ?? '');
  const answer: RequestListener = (request, response) => {
    const bytes = world.files.get((request.url ?? '').slice(1));
    if (bytes instanceof Uint8Array) response.end(bytes);
    else response.writeHead(404).end();
  };
  server = createServer(answer);
  const [key, cert] = await Promise.all([
    readFile(join(PACKAGE, 'test', 'localhost', 'key.pem')),
    readFile(CERTIFICATE),
  ]);
  secureServer = createSecureServer({ key, cert }, answer);
  for (const each of [server, secureServer]) await new Promise<void>((resolve) => each.listen(0, '127.0.0.1', resolve));
});
afterAll(async () => {
  server.close();
  secureServer.close();
  await rm(folder, { recursive: true });
});

function run(
  command: string,
  line: readonly string[],
  options: { shell?: boolean; env?: NodeJS.ProcessEnv } = {},
): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(command, [...line], { cwd: PACKAGE, ...options }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), stdout, stderr });
    });
  });
}

it('fetches a verified file', async () => {
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const file = join(folder, 'hello.txt');
  const common = ['--url', url, '--root', join(folder, 'root.json'), '--state', join(folder, 'state')];
  const fetched = await run(process.execPath, [LAUNCHER, 'fetch', ...common, '--output', file, 'hello.txt']);
  expect(fetched).toEqual({ code: 0, stdout: `Verified and saved ${file}\n`, stderr: '' });
  expect(await readFile(file, 'utf8')).toBe('hello');
  const again = await run(process.execPath, [LAUNCHER, 'refresh', ...common]);
  expect(again).toEqual({ code: 0, stdout: 'Verified: timestamp 1\n', stderr: '' });
});

it('fetches over HTTPS from whom the system trusts, files of every size, and from nobody else', async () => {
  const url = `https://localhost:${(secureServer.address() as AddressInfo).port}`;
  const file = join(folder, 'large.bin');
  const common = ['--url', url, '--root', join(folder, 'root.json'), '--state', join(folder, 'secure')];
  const line = [LAUNCHER, 'fetch', ...common, '--output', file, 'large.bin'];
  const refused = await run(process.execPath, line);
  expect(refused).toMatchObject({ code: 5, stdout: '' });
  const fetched = await run(process.execPath, line, { env: { ...process.env, NODE_EXTRA_CA_CERTS: CERTIFICATE } });
  expect(fetched).toEqual({ code: 0, stdout: `Verified and saved ${file}\n`, stderr: '' });
  expect(LARGE.equals(await readFile(file))).toBe(true);
});

it('ends with the exit code of what went wrong', async () => {
  const common = ['--url', 'http://127.0.0.1:1', '--root', join(folder, 'root.json'), '--state', join(folder, 'other')];
  const { code, stdout, stderr } = await run(process.execPath, [LAUNCHER, 'refresh', ...common]);
  expect([code, stdout]).toEqual([5, '']);
  expect(stderr).toMatch(/^UNREACHABLE: /);
});
