// The commands for plain files and for what holds them: what they are told and
// where they are.

import type { Command } from 'commander';
import type { ImportOptions } from './commands/import.ts';
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

/** Adds the operator's commands to the program. @param start makes the context of a command */
export function addBulkCommands(program: Command, start: (command: Command) => Promise<Context>): void {
  program
    .command('import')
    .argument('<source>', 'a folder; or a list, whose files lie elsewhere')
    .description('bring many files in at once, while the service is stopped; cut off, it goes on where it was')
    .option('--to <place>', 'where they belong: a folder such as docs, or a project such as files/handbook')
    .option('--restart', 'give up an unfinished import of something else')
    .addHelpText(
      'after',
      LISTS + examples('countersign import /srv/downloads', 'countersign import mirror.csv --to 2030'),
    )
    .action(async (source: string, options: ImportOptions, command: Command) => {
      const { importFiles } = await import('./commands/import.ts');
      await importFiles(await start(command), source, options);
    });
}

const LISTS = `
It works on the files of the collection on this machine, so stop \`serve\` first; a
web server over the site goes on serving what is published. In a registry the
files are for names that nobody has claimed: <ecosystem>/<name>/<file>.

A list is CSV with a header line, or JSON lines:
  path,length,sha256,sha512
  docs/a.pdf,1234,<64 digits>,<128 digits>
  {"path":"docs/a.pdf","length":1234,"sha256":"<64 digits>","custom":{}}
`;

function examples(...lines: readonly string[]): string {
  return `\nExample${lines.length > 1 ? 's' : ''}:\n${lines.map((line) => `  ${line}\n`).join('')}`;
}
