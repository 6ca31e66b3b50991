// The command as a process, the way the README has it: `dev` with the example
// package, claim, publish with the machine's own npm, install. And that it
// stops when it is told to.

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const COMMAND = fileURLToPath(new URL('../bin/countersign.js', import.meta.url));
const EXAMPLES = fileURLToPath(new URL('../../../examples', import.meta.url));

let cwd: string;
let dev: ChildProcess;
let ready: { service: string; registry: string };

beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'countersign-process-'));
  await cp(EXAMPLES, join(cwd, 'examples'), { recursive: true });
  const args = [COMMAND, 'dev', '--port', '0', '--gateway-port', '0', '--json'];
  dev = spawn(process.execPath, args, { cwd, env: environment(), stdio: ['ignore', 'pipe', 'inherit'] });
  ready = await new Promise((resolve, reject) => {
    let text = '';
    dev.stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      const line = text.split('\n').find((each) => each.startsWith('{"event":"ready"'));
      if (line !== undefined) resolve(JSON.parse(line));
    });
    dev.on('exit', (code) => reject(new Error(`dev ended with ${code}: ${text}`)));
  });
});
afterAll(async () => {
  dev.kill('SIGKILL');
  await rm(cwd, { recursive: true, force: true });
});

describe('the command as a process', () => {
  it('claim, publish a folder, npm install: no question, and the package runs', async () => {
    const claimed = await run(process.execPath, COMMAND, 'claim', 'npm/hello-countersign', '--url', ready.service);
    expect(claimed.output).toContain('Claimed npm/hello-countersign');
    expect(claimed.output).toContain('publish examples/hello-countersign');
    const published = await run(
      process.execPath,
      COMMAND,
      'publish',
      'examples/hello-countersign',
      '--url',
      ready.service,
    );
    expect(published.output).toContain('Published npm/hello-countersign 1.0.0.');
    await writeFile(join(cwd, 'package.json'), '{"name":"somebody","private":true}');
    const settings = ['--registry', ready.registry, '--cache', join(cwd, '.npm'), '--fetch-retries=0'];
    const installed = await run('npm', 'install', 'hello-countersign', ...settings);
    expect(installed.output).toContain('added 1 package');
    expect([claimed.code, published.code, installed.code]).toEqual([0, 0, 0]);
    const manifest = await readFile(join(cwd, 'node_modules', 'hello-countersign', 'package.json'), 'utf8');
    expect(manifest).toBe(await readFile(join(EXAMPLES, 'hello-countersign', 'package.json'), 'utf8'));
    const said = await run(process.execPath, join(cwd, 'node_modules', 'hello-countersign', 'cli.js'));
    expect(said.output).toContain('Hello');
  });

  it('a package that npm cannot pack: what npm said, exit 2', async () => {
    await writeFile(join(cwd, 'examples', 'package.json'), '{ this is no manifest');
    const { code, output } = await run(process.execPath, COMMAND, 'publish', 'examples', '--url', ready.service);
    expect([code, output.includes('npm pack made no package')]).toEqual([2, true]);
    expect(output).toContain('EJSONPARSE');
  });

  it('the service down: exit 5, and who cannot be reached', async () => {
    const { code, output } = await run(process.execPath, COMMAND, 'claim', 'npm/x', '--url', 'http://127.0.0.1:1/main');
    expect([code, output.includes('UNREACHABLE')]).toEqual([5, true]);
  });

  it('SIGTERM ends it with exit 0', async () => {
    const ended = new Promise((resolve) => dev.on('exit', (code, signal) => resolve(code ?? signal)));
    dev.kill('SIGTERM');
    expect(await ended).toBe(0);
    const { code } = await run(process.execPath, COMMAND, 'status', '--url', ready.service);
    expect(code).toBe(5);
  });
});

function run(command: string, ...args: readonly string[]): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    execFile(command, [...args], { cwd, env: environment(), timeout: 60_000 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 1;
      resolve({ code, output: stdout + stderr });
    });
  });
}

/** Without what a surrounding `npm test` hands to its children. */
function environment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(npm_|COUNTERSIGN_)/i.test(name)));
}
