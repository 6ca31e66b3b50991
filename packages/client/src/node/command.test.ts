// The small command: what it says, what it writes, and with which code it ends.

import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { SmallWorld } from '../../test/small-world.ts';
import { runCommand } from './command.ts';

let folder: string;
let server: Server;
let world: SmallWorld;
let common: readonly string[];
beforeEach(async () => {
  world = await SmallWorld.make();
  vi.useFakeTimers({ toFake: ['Date'], now: world.now });
  server = createServer((request, response) => {
    const bytes = world.files.get((request.url ?? '').slice(1));
    if (bytes === undefined) response.writeHead(404).end();
    else response.end(bytes);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  folder = await mkdtemp(join(tmpdir(), 'countersign-'));
  await writeFile(join(folder, 'root.json'), world.anchor);
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  common = ['--url', url, '--root', join(folder, 'root.json'), '--state', join(folder, 'state')];
});
afterEach(async () => {
  vi.useRealTimers();
  server.closeAllConnections();
  server.close();
  await rm(folder, { recursive: true });
});

async function run(...line: readonly string[]): Promise<{ code: number; out: string; err: string }> {
  const said = { out: '', err: '' };
  const code = await runCommand(line, {
    out: (text) => (said.out += `${text}\n`),
    err: (text) => (said.err += `${text}\n`),
  });
  return { code, ...said };
}

it('refresh: says what is trusted, and keeps it', async () => {
  expect(await run('refresh', ...common)).toEqual({ code: 0, out: 'Verified: timestamp 1\n', err: '' });
  expect(await readdir(join(folder, 'state'))).toContain('timestamp.json');
});

it('fetch: the file, verified, where it was asked for', async () => {
  const file = join(folder, 'tool');
  expect(await run('fetch', ...common, '--output', file, 'dev/tool.tgz')).toEqual({
    code: 0,
    out: `Verified and saved ${file}\n`,
    err: '',
  });
  expect(await readFile(file, 'utf8')).toBe('tool, version 1');
});

it('fetch: what is refused leaves no file, and ends with the code of its row', async () => {
  const file = join(folder, 'tool');
  const unknown = await run('fetch', ...common, '--output', file, 'dev/other.tgz');
  expect(unknown).toMatchObject({ code: 4, out: '' });
  expect(unknown.err).toMatch(/^TARGET_UNKNOWN: /);
  for (const [name, bytes] of world.files)
    if (name.startsWith('targets/'))
      world.files.set(
        name,
        bytes.map((byte) => byte ^ 1),
      );
  const forged = await run('fetch', ...common, '--output', file, 'dev/tool.tgz');
  expect(forged).toMatchObject({ code: 3, out: '' });
  expect(forged.err).toMatch(/^HASH_MISMATCH: .*\n {2}Checking .*\n {2}Next: /);
  expect(await readdir(folder)).not.toContain('tool');
});

it('what comes from outside cannot steer a terminal', async () => {
  const { code, err } = await run('fetch', ...common, 'dev/\u001b[31mtool');
  expect(code).toBe(2);
  expect(err).not.toContain('\u001b');
});

it.each<readonly string[]>([
  [],
  ['update'],
  ['refresh', 'target'],
  ['fetch'],
  ['fetch', 'a', 'b'],
  ['refresh', '--url'],
  ['refresh', '--speed', '9'],
])('a command line that makes no sense: USAGE_INVALID %#', async (...line) => {
  const said = await run(...line, ...(line.includes('--url') ? [] : common));
  expect(said).toMatchObject({ code: 2, out: '' });
  expect(said.err).toMatch(/^USAGE_INVALID: [^]*\nUsage: countersign-client refresh /);
});

it('without a URL or a root: USAGE_INVALID; with a root that is not there: ANCHOR_MISSING', async () => {
  expect((await run('refresh', '--url', 'http://127.0.0.1')).code).toBe(2);
  const missing = await run('refresh', ...common, '--root', join(folder, 'none.json'));
  expect(missing.err).toMatch(/^ANCHOR_MISSING: /);
});
