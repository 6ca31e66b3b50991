// The commands of the offline quorum about its own files and about the online
// keys: what they are told and where they are.

import type { Command } from 'commander';
import type { AdoptRepositoryOptions, SignRootOptions } from './commands/adopt-repository.ts';
import type { RotateOnlineOptions } from './commands/online-key.ts';
import type { RenewOptions, RotateOptions } from './commands/root-change.ts';
import type { Context } from './context.ts';

/** Adds the commands to the program. @param start makes the context of a command */
export function addQuorumCommands(program: Command, start: (command: Command) => Promise<Context>): void {
  program.commandsGroup('For operators, to keep the keys of a collection:');
  const root = program
    .command('root')
    .description('which keys speak for the collection, who holds them, until when; renew or replace them')
    .addHelpText('after', examples('countersign root', 'countersign root renew', 'countersign root rotate --help'))
    .action(async (_options: unknown, command: Command) => {
      const { showRoot } = await import('./commands/root-show.ts');
      await showRoot(await start(command));
    });
  signing(
    root
      .command('renew')
      .description('sign everything that the quorum keeps again, with a later expiry; also after it has expired')
      .addHelpText('after', examples('countersign root renew', 'countersign root renew --days 400')),
  ).action(async (options: RenewOptions, command: Command) => {
    const { renewRoot } = await import('./commands/root-change.ts');
    await renewRoot(await start(command), options);
  });
  signing(
    root
      .command('rotate')
      .description('change who is the quorum: the old one and the new one sign')
      .option('--add <files...>', 'public key files of new members, from `countersign key show`')
      .option('--remove <keys...>', 'members who leave: the beginning of a key id, or a public key file')
      .option('--threshold <n>', 'how many must sign from then on (default: as now)')
      .addHelpText(
        'after',
        examples(
          'countersign root rotate --add ben.json cyd.json --threshold 2',
          'countersign root rotate --remove 3fa4c1 --add dan.json',
        ),
      ),
  ).action(async (options: RotateOptions, command: Command) => {
    const { rotateRoot } = await import('./commands/root-change.ts');
    await rotateRoot(await start(command), options);
  });
  const online = program.command('online-key').description('keys that the service signs with by itself');
  online
    .command('create')
    .argument('<kind>', KINDS)
    .description("make another key on the service's machine and print its public half; it counts for nothing yet")
    .addHelpText('after', examples('countersign online-key create snapshot > snapshot.json'))
    .action(async (kind: string, _options: unknown, command: Command) => {
      const { createServiceKey } = await import('./commands/online-key.ts');
      await createServiceKey(await start(command), kind);
    });
  signing(
    online
      .command('rotate')
      .argument('<kinds...>', `${KINDS}, or all`)
      .description('replace online keys in one publication; the service takes them up by itself')
      .option('--to <files...>', 'public key files in the order of the kinds, from `online-key create`')
      .addHelpText('after', examples('countersign online-key rotate snapshot', 'countersign online-key rotate all')),
  ).action(async (kinds: string[], options: RotateOnlineOptions, command: Command) => {
    const { rotateOnlineKeys } = await import('./commands/online-key.ts');
    await rotateOnlineKeys(await start(command), kinds, options);
  });
  addTakeover(program, start);
}

function addTakeover(program: Command, start: (command: Command) => Promise<Context>): void {
  program
    .command('adopt-repository')
    .argument('<source>', "URL or folder of somebody else's TUF repository, with metadata/ and targets/ below it")
    .argument('[name]', 'name of the collection that it becomes', 'main')
    .description('take over a TUF repository: its keys sign one last root, and its clients go on without a change')
    .option('--metadata <place>', 'where its metadata is, if not in metadata/ below the source')
    .option('--targets <place>', 'where its files are, if not in targets/ below the source')
    .option('--sign-with <files...>', 'key files of its root that are at hand (ours, or PEM)')
    .option('--signed <files...>', 'copies of the root that its holders have signed')
    .option('--bins <n>', 'bins for what is added: a power of two', '256')
    .option('--succinct', 'as TAP 15 has them, for clients that know it')
    .option('--dev', 'development mode: make random passphrases, kept in files that only you can read')
    .addHelpText(
      'after',
      examples('countersign adopt-repository https://tuf.example.org --root their-root.json --sign-with old.pem'),
    )
    .action(async (source: string, name: string, options: AdoptRepositoryOptions, command: Command) => {
      const { adoptRepository } = await import('./commands/adopt-repository.ts');
      await adoptRepository(await start(command), source, name, options);
    });
  program
    .command('sign-root')
    .argument('<file>', 'the next root, as somebody handed it to you')
    .description('see what a root would change, against the one you trust (--root), and add your signature to the file')
    .option('--sign-with <files...>', 'your key files (ours, or PEM)')
    .option('--signature <keyid=file...>', 'signatures that another tool made over --bytes, raw or hexadecimal')
    .option('--bytes <file>', 'write the exact bytes to sign, for another tool')
    .addHelpText(
      'after',
      examples('countersign sign-root main.takeover.root.json --root root.json --sign-with old.pem'),
    )
    .action(async (file: string, options: SignRootOptions, command: Command) => {
      const { signRootFile } = await import('./commands/adopt-repository.ts');
      await signRootFile(await start(command), file, options);
    });
}

function signing(command: Command): Command {
  return command
    .option('--days <n>', 'how long what is signed stays valid', '365')
    .option('--key <file>', "a quorum member's key (default: the offline key of the collection)")
    .option('--token-file <file>', 'token to submit with (default: <state>/<collection>.token)');
}

function examples(...lines: readonly string[]): string {
  return `\nExample${lines.length > 1 ? 's' : ''}:\n${lines.map((line) => `  ${line}\n`).join('')}`;
}

const KINDS = 'timestamp, snapshot, recent, unclaimed, decisions or bins';
