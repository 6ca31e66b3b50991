// The commands for plain files and for what holds them: what they are told and
// where they are.

import { type Command, Option } from 'commander';
import type { DelegateOptions } from './commands/delegate.ts';
import type { ImportOptions } from './commands/import.ts';
import type { LayoutOptions } from './commands/layout.ts';
import type { UploadOptions } from './commands/upload.ts';
import type { Context } from './context.ts';

/** Adds the author's commands to the program. @param start makes the context of a command */
export function addFileCommands(program: Command, start: (command: Command) => Promise<Context>): void {
  program
    .command('upload')
    .argument(
      '[paths...]',
      'files; folders with all that is in them, under their own name or, with a slash at the end, without',
    )
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

/** Adds the commands of the offline quorum to the program. @param start makes the context of a command */
export function addLayoutCommands(program: Command, start: (command: Command) => Promise<Context>): void {
  program
    .command('layout')
    .description(
      'how files are spread over roles, what that costs clients; with options, change it while clients go on',
    )
    .option('--bins <n>', 'plain collections: so many bins, a power of two')
    .addOption(
      new Option('--form <form>', 'plain collections: for every client, or with TAP 15').choices([
        'classic',
        'succinct',
      ]),
    )
    .option('--shard-digits <n>', 'registries: hex digits by which names are spread over shards, 0 to 4')
    .option('--dry-run', 'show what would be signed, and stop')
    .option('--key <file>', "a quorum member's key (default: the offline key of the collection)")
    .option('--token-file <file>', 'token to submit with (default: <state>/<collection>.token)')
    .addHelpText('after', examples('countersign layout', 'countersign layout --bins 4096'))
    .action(async (options: LayoutOptions, command: Command) => {
      const { layout } = await import('./commands/layout.ts');
      await layout(await start(command), options);
    });
  program
    .command('delegate')
    .argument('[role]', 'a name for the role, such as docs; without one, all are shown')
    .description(
      'give paths of a plain collection to an author: nobody else speaks for them then, not even the service',
    )
    .option('--paths <patterns...>', 'patterns of paths, in quotes; * and ? do not cross a slash')
    .option('--author <files...>', 'public key files of those who sign, from `countersign key show`')
    .option('--threshold <n>', 'how many of them must sign (default: 1, or as it is)')
    .option('--remove', 'take the paths back; what the role lists goes with it')
    .option('--with <files...>', "the author's own key files, where they are at hand")
    .option('--dry-run', 'show what would be signed, and stop')
    .option('--key <file>', "a quorum member's key (default: the offline key of the collection)")
    .option('--token-file <file>', 'token to submit with (default: <state>/<collection>.token)')
    .addHelpText(
      'after',
      examples(
        'countersign delegate docs --paths "docs/*" "docs/*/*" --author ada.json',
        'countersign delegate docs --remove',
      ),
    )
    .action(async (role: string | undefined, options: DelegateOptions, command: Command) => {
      const { delegate } = await import('./commands/delegate.ts');
      await delegate(await start(command), role, options);
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
