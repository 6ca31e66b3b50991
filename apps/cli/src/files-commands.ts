// The commands for plain files and for what holds them: what they are told and
// where they are.

import type { Command } from 'commander';
import type { UploadOptions } from './commands/upload.ts';
import type { Context } from './context.ts';

/** Adds the author's commands to the program. @param start makes the context of a command */
export function addFileCommands(program: Command, start: (command: Command) => Promise<Context>): void {
  program
    .command('upload')
    .argument('[paths...]', 'files, or folders with all that is in them')
    .description('put files into a plain collection, or under a name that nobody has claimed; take files out')
    .option('--to <place>', 'where they belong: a folder such as docs/2030, or a project such as files/handbook')
    .option('--remove <paths...>', 'files to take out, below --to; a whole folder with a slash at its end')
    .option('--dry-run', 'show what would change, and stop')
    .option('--key <file>', "your key, for what an author's role stands for (default: <state>/author/key.pem)")
    .option('--with <files...>', 'further keys of your own to sign with')
    .option('--token-file <file>', 'token to submit with (default: <state>/<collection>.token)')
    .addHelpText(
      'after',
      examples(
        'countersign upload guide.pdf images --to docs',
        'countersign upload --to docs --remove old.pdf drafts/',
      ),
    )
    .action(async (paths: readonly string[], options: UploadOptions, command: Command) => {
      const { upload } = await import('./commands/upload.ts');
      await upload(await start(command), paths, options);
    });
}

function examples(...lines: readonly string[]): string {
  return `\nExample${lines.length > 1 ? 's' : ''}:\n${lines.map((line) => `  ${line}\n`).join('')}`;
}
