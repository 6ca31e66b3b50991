// The operator's commands for a collection as a whole: what they are told and
// where they are. They work on this machine's files, not through the service.

import type { Command } from 'commander';
import type { RebuildOptions } from './commands/rebuild.ts';
import type { RestoreOptions } from './commands/restore.ts';
import type { Context } from './context.ts';

/** Adds the commands to the program. @param start makes the context of a command */
export function addMaintenanceCommands(program: Command, start: (command: Command) => Promise<Context>): void {
  program.commandsGroup('For operators, to look after a collection:');
  program
    .command('fsck')
    .argument('[name]', 'name of the collection', 'main')
    .description('check everything a collection is made of: ledger, signatures, files, site; also while it is served')
    .option('--deep', 'read every byte of every file, instead of sizes only')
    .option('--repair', 'put right what can be; the service must be stopped')
    .addHelpText(
      'after',
      examples('countersign fsck main', 'countersign fsck main --deep', 'countersign fsck main --repair'),
    )
    .action(async (name: string, options: { deep?: boolean; repair?: boolean }, command: Command) => {
      const { fsck } = await import('./commands/fsck.ts');
      await fsck(await start(command), name, options);
    });
  program
    .command('gc')
    .argument('[name]', 'name of the collection', 'main')
    .description('say what nobody can ask for any more, and with --yes remove it')
    .option('--yes', 'remove it; while the service runs, only earlier metadata')
    .option('--grace-days <n>', 'how long after its expiry a timestamp still counts', '7')
    .addHelpText('after', examples('countersign gc main', 'countersign gc main --yes'))
    .action(async (name: string, options: { yes?: boolean; graceDays: string }, command: Command) => {
      const { gc } = await import('./commands/gc.ts');
      await gc(await start(command), name, options);
    });
  program
    .command('backup')
    .argument('<name>', 'name of the collection')
    .argument('<place>', 'a folder, where the next backup writes only what is new, or a new .tar file')
    .description('back up everything but the keys; also while it is served')
    .addHelpText('after', examples('countersign backup main /backups/main', 'countersign backup main main.tar'))
    .action(async (name: string, place: string, _options: unknown, command: Command) => {
      const { backup } = await import('./commands/backup.ts');
      await backup(await start(command), name, place);
    });
  program
    .command('restore')
    .argument('<name>', 'name of the collection')
    .argument('<place>', 'the folder or .tar file of the backup')
    .description('make a collection of a backup; all of it is verified before it takes its place')
    .option('--last-seen <path>', 'timestamp.json or a folder with it, as clients have seen it last; or `none`')
    .option('--new-keys', 'new timestamp and snapshot keys in a new root: the way back below what clients have seen')
    .option('--keys <folder>', 'folder with the .pem files (default: those of the collection that is there)')
    .option('--replace', 'move the collection that is there away')
    .option('--manifest <sha256>', 'digest that `backup` printed; another backup is refused')
    .option('--database <url>', 'put it into this PostgreSQL and --store, for several machines to serve')
    .option('--store <url>', 'the S3 bucket and folder, with --database')
    .addHelpText(
      'after',
      examples(
        'countersign restore main /backups/main --replace',
        'countersign restore main main.tar --keys /media/keys --last-seen mirror/metadata',
        'countersign restore main main.tar --replace --new-keys',
      ),
    )
    .action(async (name: string, place: string, options: RestoreOptions, command: Command) => {
      const { restore } = await import('./commands/restore.ts');
      await restore(await start(command), name, place, options);
    });
  program
    .command('rebuild')
    .argument('<name>', 'name of the collection')
    .description('make the database anew from what was published: the site and the blobs, or a copy of the site')
    .option('--from <folder>', 'copy of a site, with metadata/ and targets/ (default: its own site, in place)')
    .option('--last-seen <path>', 'timestamp.json or a folder with it, as clients have seen it last')
    .option('--new-keys', 'new timestamp and snapshot keys in a new root: for a copy older than what clients have seen')
    .option('--keys <folder>', 'folder with the .pem files (default: those of the collection that is there)')
    .option('--replace', 'move the collection that is there away')
    .option('--database <url>', 'put it into this PostgreSQL and --store, for several machines to serve')
    .option('--store <url>', 'the S3 bucket and folder, with --database')
    .addHelpText(
      'after',
      examples('countersign rebuild main', 'countersign rebuild main --from /mirror/main --keys /media/keys'),
    )
    .action(async (name: string, options: RebuildOptions, command: Command) => {
      const { rebuild } = await import('./commands/rebuild.ts');
      await rebuild(await start(command), name, options);
    });
}

function examples(...lines: readonly string[]): string {
  return `\nExample${lines.length > 1 ? 's' : ''}:\n${lines.map((line) => `  ${line}\n`).join('')}`;
}
