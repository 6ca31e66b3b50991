import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { findPostgres, startPostgres } from '../../../tools/peers/postgres.ts';
import { requireServer } from '../../../tools/peers/require-peer.ts';
import { findS3Server, S3_KEYS, startS3Server } from '../../../tools/peers/s3-server.ts';
import type { RunningServer } from '../../../tools/peers/servers.ts';
import { runCommand } from '../test/cli-world.ts';

// Runs every command of docs/guides/operator.md in its order, on a PostgreSQL
// and an S3 server of its own. `serve` is asked to stop as soon as it serves.

const GUIDE = fileURLToPath(new URL('../../../docs/guides/operator.md', import.meta.url));
let servers: readonly [RunningServer, RunningServer] | undefined;
let cwd: string;

beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'countersign-guide-'));
  const [postgres, s3] = [findPostgres(), findS3Server()];
  if (postgres.available && s3.available) servers = [await startPostgres(postgres), await startS3Server(s3)];
});
afterAll(async () => {
  for (const server of servers ?? []) await server.close();
  await rm(cwd, { recursive: true, force: true });
});

it('the guide for operators works as it is written', async (context) => {
  requireServer(findPostgres(), context);
  requireServer(findS3Server(), context);
  const [database = '', store = ''] = servers?.map(({ url }) => url) ?? [];
  const blocks = [...(await readFile(GUIDE, 'utf8')).matchAll(/```console\n([^`]*)```/g)];
  const lines = blocks.flatMap(([, block = '']) => block.trim().split('\n'));
  const env: Record<string, string> = {
    COUNTERSIGN_STORE_ACCESS_KEY_ID: S3_KEYS.accessKeyId,
    COUNTERSIGN_STORE_SECRET_ACCESS_KEY: S3_KEYS.secretAccessKey,
  };
  let state = '.countersign';
  let ran = 0;
  for (const line of lines) {
    const [, variable] = /^\$ export (\w+)=…$/.exec(line) ?? [];
    if (variable !== undefined) {
      env[variable] = `passphrase of ${variable}`;
      continue;
    }
    if (line.startsWith('$ rsync')) {
      const filter = (path: string): boolean => !path.endsWith('offline.pem');
      await cp(join(cwd, state), join(cwd, 'node-b'), { recursive: true, filter });
      state = 'node-b';
      continue;
    }
    const args = line
      .replace('postgres://countersign@db.example.org/countersign', database)
      .replace('https://s3.example.org/packages', `${store}/bucket`)
      .replace('--port 7410', '--port 0')
      .replace('$ countersign ', '')
      .split(' ');
    const { exit, out, err } = await runCommand({ cwd, env: { ...env, COUNTERSIGN_STATE: state } }, ...args);
    expect([line, exit, err.replace(/^Token of .*\n/, '')]).toEqual([line, 0, '']);
    if (args[0] === 'serve') expect(out).toMatch(/listening on http:/);
    ran++;
  }
  expect(ran).toBe(6);
});
