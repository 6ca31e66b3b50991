import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { codeOf, SmallWorld } from '../test/small-world.ts';
import { fileSink, httpTransport, openNodeClient } from './node.ts';

it('a client on Node refreshes over HTTP, downloads a file, and goes on from its folder', async () => {
  const world = await SmallWorld.make();
  const server = createServer((request, response) => {
    const bytes = world.files.get((request.url ?? '').replace('/main/', ''));
    if (bytes === undefined) response.writeHead(404).end();
    else response.end(bytes);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const folder = await mkdtemp(join(tmpdir(), 'countersign-'));
  try {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/main`;
    const options = { url, folder: join(folder, 'state'), clock: () => world.now };
    const transport = httpTransport({ retries: 0 });
    expect(await codeOf(openNodeClient(options))).toBe('ANCHOR_MISSING');
    const client = await openNodeClient({ ...options, transport, anchor: world.anchor });
    const found = await client.find('dev/tool.tgz');
    if (found === undefined) throw new Error('not found');
    await client.download(found.target, fileSink(join(folder, 'tool.tgz')));
    expect(await readFile(join(folder, 'tool.tgz'), 'utf8')).toBe('tool, version 1');
    const names = await readdir(join(folder, 'state'));
    expect(names).toEqual(['dev.json', 'root.json', 'snapshot.json', 'targets.json', 'timestamp.json']);

    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    const restarted = await openNodeClient({ ...options, transport });
    expect(await codeOf(restarted.refresh())).toBe('UNREACHABLE');
    await restarted.resume();
    expect((await restarted.find('dev/tool.tgz'))?.target).toEqual(found.target);
  } finally {
    server.close();
    await rm(folder, { recursive: true });
  }
});
