import { cp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { npmTarball, startCliWorld } from '../test/cli-world.ts';

// Runs every command of docs/guides/operator-recovery.md in its order, on a
// collection with a package and a mirror of it that is newer than the backup.

const GUIDE = fileURLToPath(new URL('../../../docs/guides/operator-recovery.md', import.meta.url));

it('the guide for recovery works as it is written', async () => {
  const blocks = [...(await readFile(GUIDE, 'utf8')).matchAll(/```console\n([^`]*)```/g)];
  const lines = blocks.flatMap(([, block = '']) => block.trim().split('\n'));
  const world = await startCliWorld();
  try {
    const collection = join(world.folder, 'operator', 'collections', 'main');
    await world.as('alice', 'claim', 'npm/hello');
    const release = async (version: string): Promise<void> => {
      const file = await world.file(`${version}.tgz`, npmTarball({ name: 'hello', version }));
      expect(await world.as('alice', 'publish', file)).toMatchObject({ exit: 0 });
    };
    await release('1.0.0');
    let ran = 0;
    for (const line of lines) {
      if (line === '# stop the service') {
        await release('2.0.0');
        await cp(join(collection, 'site'), join(world.folder, 'mirror'), { recursive: true });
        await cp(join(collection, 'keys'), join(world.folder, 'keys'), { recursive: true });
        await cp(join(collection, 'passphrases'), join(world.folder, 'passphrases'), { recursive: true });
        await world.stop();
        await rm(join(collection, 'site', 'metadata', '1.root.json'));
        continue;
      }
      if (line.includes('rebuild main') && !line.includes('--from')) await rm(join(collection, 'ledger.sqlite'));
      const { exit, out, err } = await world.as('operator', ...line.replace('$ countersign ', '').split(' '));
      // The one restore that must be refused, as the section after it says.
      const old = line.includes('restore') && !line.includes('--new-keys');
      expect([line, exit, old ? '' : err.replace(/^Token of .*\n/, '')]).toEqual([line, old ? 2 : 0, '']);
      if (old) expect(err).toContain('ROLLBACK');
      else expect(out).not.toContain('error');
      ran++;
    }
    expect(ran).toBe(13);
  } finally {
    await world.close();
  }
});
