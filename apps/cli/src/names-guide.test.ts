// docs/guides/operator-names.md, as a script: every command on that page is run,
// in its order, on a collection whose old names have been idle for two years.

import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { sha256 } from '@countersign/client/node';
import { days, projectDirectory } from '@countersign/core';
import { ecosystemOf } from '@countersign/ecosystems';
import { submissionText } from '@countersign/repository';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type CliWorld, hashesOf, npmTarball, startCliWorld } from '../test/cli-world.ts';

const GUIDE = fileURLToPath(new URL('../../../docs/guides/operator-names.md', import.meta.url));

let world: CliWorld;
beforeAll(async () => {
  world = await startCliWorld();
  for (const name of ['left-pad', 'right-pad']) await put(name, '1.0.0');
  for (let half = 0; half < 5; half++) {
    world.move(days(160));
    await world.renew();
    expect(await world.as('quorum', 'root', 'renew')).toMatchObject({ exit: 0 });
  }
  await world.json('eve', 'claim', 'npm/fresh');
});
afterAll(() => world.close());

/** Uploads a package for a name that nobody has claimed, as a registry does. */
async function put(packageName: string, version: string): Promise<void> {
  const content = npmTarball({ name: packageName, version });
  const sha = hashesOf(content).get('sha256') ?? '';
  const { project, file: name, custom } = await ecosystemOf('npm').inspect(content);
  const send = (url: string, method: string, type: string, body: Uint8Array<ArrayBuffer> | string): Promise<Response> =>
    fetch(url, { method, headers: { authorization: `Bearer ${world.token}`, 'content-type': type }, body });
  await send(`${world.api}/blobs/${sha}`, 'PUT', 'application/octet-stream', new Uint8Array(content));
  const path = `${projectDirectory(project, sha256)}/${name}`;
  const files = [{ path, sha256: sha, custom }];
  const answer = await send(`${world.api}/submissions`, 'POST', 'application/json', submissionText({ files }));
  expect([answer.status, await answer.text()]).toEqual([201, expect.anything()]);
}

it('the guide for names works as it is written', { timeout: 60_000 }, async () => {
  const page = await readFile(GUIDE, 'utf8');
  const blocks = [...page.matchAll(/```console\n([^`]*)```/g)];
  const lines = blocks.flatMap(([, block = '']) => block.trim().split('\n'));
  const printed: string[] = [];
  for (const line of lines) {
    const [, person = '', command = ''] = /^(\w+)\$ countersign (.*)$/.exec(line) ?? [];
    const { exit, out, err } = await world.as(person, ...command.split(' '));
    expect([line, exit, exit === 0 ? '' : err]).toEqual([line, 0, '']);
    printed.push(`${out}${err}`);
  }
  expect(lines).toHaveLength(12);
  // What each block is for has happened.
  expect(printed[1]).toContain('npm/fresh');
  expect(printed[4]).toContain('2 names go on the shelf of the quorum');
  expect(printed[9]).toContain('no shelf is past half of its life');
  const shown = await world.json('auditor', 'exposure');
  expect(shown).toMatchObject({ recent: [], shelved: ['npm/right-pad'] });
  // And what the text mentions exists: `--help` knows each command, and its options.
  for (const [, mentioned = ''] of page.matchAll(/`countersign ([^`]+)`/g)) {
    const [command = '', ...rest] = mentioned.split(' ');
    const help = (await world.as('auditor', command, '--help')).out;
    for (const word of ['Usage', ...rest.filter((one) => one.startsWith('--'))])
      expect([mentioned, help]).toEqual([mentioned, expect.stringContaining(word)]);
  }
});
