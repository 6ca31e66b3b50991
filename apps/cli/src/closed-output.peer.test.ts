// What becomes of a command when nobody reads what it prints any more, as in
// `countersign … | head`: a service goes on, anything else ends quietly.

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';

const COMMAND = fileURLToPath(new URL('../bin/countersign.js', import.meta.url));
let cwd: string;

beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'countersign-closed-'));
});
afterAll(async () => await rm(cwd, { recursive: true, force: true }));

it.each([['--help'], ['init', 'main', '--dev', '--json']])(
  'a command ends as if by SIGPIPE, without a word: %s',
  async (...args) => {
    const { child, errors } = start(...args);
    child.stdout?.destroy();
    const [code] = await once(child, 'close');
    expect([code, errors()]).toEqual([141, '']);
  },
);

it.each(['1', '2'])('a service goes on, with --processes %s', async (processes) => {
  const name = `serving-${processes}`;
  await promisify(execFile)(process.execPath, [COMMAND, 'init', name, '--dev'], { cwd, env: environment() });
  const { child, errors } = start('serve', name, '--port', '0', '--json', '--processes', processes);
  onTestFinished(() => void child.kill('SIGKILL'));
  const url = await listening(child);
  child.stdout?.destroy();
  // A refusal is an event, which nobody hears.
  for (let i = 0; i < 3; i++) expect((await fetch(`${url}/api/v1/${name}/idle`)).status).toBe(401);
  expect((await fetch(`${url}/${name}/metadata/timestamp.json`)).status).toBe(200);
  child.kill('SIGTERM');
  const [code] = await once(child, 'close');
  expect([code, errors()]).toEqual([0, '']);
});

function start(...args: readonly string[]): { child: ChildProcess; errors: () => string } {
  const child = spawn(process.execPath, [COMMAND, ...args], { cwd, env: environment() });
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  return { child, errors: () => errors };
}

async function listening({ stdout }: ChildProcess): Promise<string> {
  if (stdout === null) throw new Error('there is nothing to read');
  for await (const line of createInterface({ input: stdout })) {
    const event = JSON.parse(line);
    if (event.event === 'listening') return event.url;
  }
  throw new Error('the service did not start');
}

/** Without what a surrounding `npm test` hands to its children. */
function environment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(npm_|COUNTERSIGN_)/i.test(name)));
}
