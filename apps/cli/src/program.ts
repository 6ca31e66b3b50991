// The command line: which commands there are, what each is told, and how its
// outcome becomes text and exit code. Commands are loaded when they run, so
// that `--help` does not wait for a database.

import { UsageError } from '@countersign/core';
import { Command, CommanderError, Option } from 'commander';
import type { InitOptions } from './commands/init.ts';
import type { NameDecisionOptions, ShortDecision } from './commands/name-decision.ts';
import type { OwnersOptions } from './commands/owners.ts';
import type { PromoteOptions } from './commands/promote.ts';
import type { PublishOptions } from './commands/publish.ts';
import type { RecoverOptions } from './commands/recover.ts';
import type { ReleaseKeyOptions } from './commands/release-key.ts';
import type { ShelveOptions } from './commands/shelve.ts';
import type { SignOptions } from './commands/sign.ts';
import type { YankOptions } from './commands/yank.ts';
import { knownVariables, loadConfig, type Settings } from './config.ts';
import type { Context } from './context.ts';
import { addBulkCommands, addFileCommands, addLayoutCommands } from './files-commands.ts';
import { addMaintenanceCommands } from './maintenance-commands.ts';
import { columns, type Output, outputOf, ToldAlready } from './output.ts';
import { addQuorumCommands } from './quorum-commands.ts';
import { commandName, type Shell } from './shell.ts';

/**
 * Runs one command.
 *
 * @param args without the program's own name
 * @returns the exit code: 0, or the one that the table of codes gives
 * @example process.exitCode = await run(['status', '--json'], shell);
 */
export async function run(args: readonly string[], shell: Shell): Promise<number> {
  const json = args.includes('--json');
  const output = outputOf(shell, json);
  try {
    await programFor(shell, output).parseAsync([...args], { from: 'user' });
    return 0;
  } catch (error) {
    if (error instanceof ToldAlready) return error.exit;
    if (!(error instanceof CommanderError)) return output.failure(error);
    if (error.exitCode === 0) return 0;
    // Commander has told a person already; a program is told here.
    if (json) output.failure(new UsageError('USAGE_INVALID', error.message.replace(/^error: /, ''), { cause: error }));
    return USAGE_EXIT;
  }
}

function programFor(shell: Shell, output: Output): Command {
  const program = new Command('countersign');
  program
    .description('Software delivery the TUF way: the author signs, the repository countersigns, the user checks both.')
    .version('0.1.0')
    .option('--json', 'print one JSON document for programs')
    .option('--config <file>', 'settings (default: ./countersign.json)')
    .option('--state <folder>', 'everything this command keeps (default: ./.countersign)')
    .option('--url <url>', 'the collection (default: http://127.0.0.1:7410/main)')
    .option('--collection <name>', 'name of the collection where no --url is given (default: main)')
    .option('--root <file>', 'the root you trust (default: <state>/<collection>.root.json)')
    .helpCommand(false)
    .showSuggestionAfterError()
    .exitOverride()
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => shell.stdout.write(text),
      writeErr: (text) => {
        if (!output.json) shell.stderr.write(text);
      },
      outputError: (text, write) => write(`${text}  Next: see \`countersign --help\`\n`),
    });
  const start = async (command: Command): Promise<Context> => {
    const { config, ...flags } = command.optsWithGlobals<Flags>();
    const settings = { ...pick(flags), ...(config !== undefined && { config }) };
    const given = REPEATED_FLAGS.filter((name) => settings[name] !== undefined);
    const again = given.map((name) => ` --${name} ${settings[name]}`).join('');
    return {
      shell,
      config: await loadConfig(shell, settings),
      output,
      suggest: (line) => `${commandName(shell)} ${line}${again}`,
    };
  };
  addOperatorCommands(program, start);
  addOutlook(program, start);
  addBulkCommands(program, start);
  addLayoutCommands(program, start);
  addQuorumCommands(program, start);
  addMaintenanceCommands(program, start);
  addAuthorCommands(program, start);
  addYank(program, start);
  addFileCommands(program, start);
  addOwnerCommands(program, start);
  addConsumerCommands(program, start);
  addAuditorCommands(program, start);
  program.addHelpText('after', () => [HELP_END, ...columns([...knownVariables()]), ''].join('\n'));
  return program;
}

type Start = (command: Command) => Promise<Context>;

function addOperatorCommands(program: Command, start: Start): void {
  program.commandsGroup('For operators:');
  program
    .command('init')
    .argument('[name]', 'name of the collection', 'main')
    .description('create a collection: its root, its offline key, its online keys')
    .option('--dev', 'development mode: make random passphrases, kept in files that only you can read')
    .addOption(
      new Option('--layout <layout>', 'what it is for, see below')
        .choices(['registry', 'bins', 'succinct'])
        .default('registry'),
    )
    .option('--bins <n>', 'bins of a plain collection: a power of two (default: 256)')
    .option('--shard-digits <n>', 'hex digits by which names are spread over shards, 0 to 4 (default: 1)')
    .option('--database <url>', 'keep it in this PostgreSQL and --store, for several machines to serve')
    .option('--store <url>', 'endpoint, bucket and folder of an S3-compatible object store')
    .addHelpText('after', LAYOUTS + example('COUNTERSIGN_PASSPHRASE=… countersign init main'))
    .action(async (name: string, options: InitOptions, command: Command) => {
      const { init } = await import('./commands/init.ts');
      await init(await start(command), name, options);
    });
  program
    .command('serve')
    .argument('[names...]', 'collections to serve (default: all there are)')
    .description('serve collections: static metadata and files for all, submissions for holders of a token')
    .option('--host <address>', 'address to listen on (default: 127.0.0.1)')
    .option('--port <port>', 'port, 0 for a free one (default: 7410)')
    .option('--database <url>', 'where the database is by now (default: as at `init`)')
    .option('--store <url>', 'where the object store is by now (default: as at `init`)')
    .option('--processes <n>', 'processes that serve on that port, or auto for one a core (default: 1)')
    .addHelpText('after', example('countersign serve --port 7410 --processes auto'))
    .action(async (names: string[], _options: unknown, command: Command) => {
      const context = await start(command);
      const { processCount, serveTogether } = await import('./commands/serve-together.ts');
      const count = await processCount(context);
      if (count > 1) return await serveTogether(context, count);
      const { serve } = await import('./commands/serve.ts');
      return await serve(context, names);
    });
  program
    .command('promote')
    .argument('[names...]', 'projects such as npm/left-pad (default: all that wait)')
    .description(
      "hold a session of the offline quorum: claimed shards say what was decided, for a whole week's names at once",
    )
    .option('--all', 'all that wait')
    .option('--except <names...>', 'names to leave out, such as npm/left-pad')
    .option('--dry-run', 'show what would be signed, and stop')
    .option('--key <file>', "a quorum member's key (default: the offline key of the collection)")
    .option('--token-file <file>', 'token to submit with (default: <state>/<collection>.token)')
    .addHelpText('after', example('countersign promote'))
    .action(async (names: string[], options: PromoteOptions, command: Command) => {
      const { promote } = await import('./commands/promote.ts');
      await promote(await start(command), names, options);
    });
  addShelves(program, start);
  for (const decision of ['recover', 'adopt'] as const) {
    const about =
      decision === 'recover'
        ? 'give a name to its owners again who lost or were robbed of their keys (offline quorum, two weeks, veto)'
        : 'give an abandoned, orphaned or ended name to new owners (offline quorum, six weeks, veto)';
    program
      .command(decision)
      .argument('<name>', 'a project such as npm/left-pad')
      .description(about)
      .requiredOption('--owner <files...>', 'public key files of the new owners, from `countersign key show`')
      .option('--threshold <n>', 'how many of them must sign', '1')
      .requiredOption('--evidence <file>', 'the document that justifies it; only its hash is published')
      .option(
        '--reason <word>',
        decision === 'recover' ? 'lost, stolen, dispute, error or legal' : 'abandoned, deceased or reissue',
      )
      .option('--contacted <dates...>', 'days on which the owners were written to, such as 2030-01-31 (adoption)')
      .option('--key <file>', "a quorum member's key (default: the offline key of the collection)")
      .option('--token-file <file>', 'token to submit with (default: <state>/<collection>.token)')
      .addHelpText('after', example(`countersign ${decision} npm/left-pad --owner new.json --evidence case-17.pdf`))
      .action(async (name: string, options: RecoverOptions, command: Command) => {
        const { recover } = await import('./commands/recover.ts');
        await recover(await start(command), decision, name, options);
      });
  }
  program
    .command('exposure')
    .description('what the online keys could still do: names that the quorum has not countersigned')
    .addHelpText('after', example('countersign exposure'))
    .action(async (_options: unknown, command: Command) => {
      const { exposure } = await import('./commands/exposure.ts');
      await exposure(await start(command));
    });
  program
    .command('token')
    .description('tokens to submit with')
    .command('create')
    .argument('<account>', 'who it is for')
    .description('issue a token; it is shown once, and good for one collection unless you say more')
    .option('--for <collections...>', 'collections it is good for (default: the one of --url or --collection)')
    .addHelpText('after', example('countersign token create alice --for main > alice.token'))
    .action(async (account: string, options: { for?: readonly string[] }, command: Command) => {
      const { createToken } = await import('./commands/token-create.ts');
      await createToken(await start(command), account, options.for);
    });
  program
    .command('status')
    .description('how the collection stands: what the service says, what a verifying client finds')
    .addHelpText('after', example('countersign status --json'))
    .action(async (_options: unknown, command: Command) => {
      const { status } = await import('./commands/status.ts');
      await status(await start(command));
    });
}

function addShelves(program: Command, start: Start): void {
  quorumOptions(
    program
      .command('shelve')
      .argument('[names...]', 'projects such as npm/left-pad (default: all that have been idle for long)')
      .description(
        'keep names that nobody has claimed as they are, under the offline key, where no online key can touch them',
      )
      .option('--idle-days <n>', 'what idle for long means', '730')
      .option('--renew', 'take nothing new; only sign again what must be signed soon'),
  )
    .addHelpText('after', example('countersign shelve --idle-days 730 --dry-run'))
    .action(async (names: string[], options: ShelveOptions, command: Command) => {
      const { shelve } = await import('./commands/shelve.ts');
      await shelve(await start(command), names, options);
    });
  quorumOptions(
    program
      .command('unshelve')
      .argument('<names...>', 'projects such as npm/left-pad')
      .description('give names back: their files can change again, and their authors can claim them'),
  )
    .addHelpText('after', example('countersign unshelve npm/left-pad'))
    .action(async (names: string[], options: ShelveOptions, command: Command) => {
      const { unshelve } = await import('./commands/shelve.ts');
      await unshelve(await start(command), names, options);
    });
}

function quorumOptions(command: Command): Command {
  return command
    .option('--dry-run', 'show what would be signed, and stop')
    .option('--key <file>', "a quorum member's key (default: the offline key of the collection)")
    .option('--token-file <file>', 'token to submit with (default: <state>/<collection>.token)');
}

function addOutlook(program: Command, start: Start): void {
  program
    .command('expiry')
    .description('what expires when, who must sign next, and what a client will see in some days')
    .option('--days <n>', 'how far to look ahead', '30')
    .addHelpText('after', example('countersign expiry --days 90'))
    .action(async (options: { days: string }, command: Command) => {
      const { expiry } = await import('./commands/expiry.ts');
      await expiry(await start(command), options);
    });
}

function addAuthorCommands(program: Command, start: Start): void {
  program.commandsGroup('For authors:');
  const keys = program.command('key').description('signing keys');
  keys
    .command('create')
    .argument('[file]', 'where to keep it (default: <state>/author/key.pem)')
    .description('make a key in an encrypted file')
    .option('--type <type>', 'ed25519, ecdsa-p256, ecdsa-p384 or rsa-pss', 'ed25519')
    .addHelpText('after', example('countersign key create'))
    .action(async (file: string | undefined, options: { type: string }, command: Command) => {
      const { createKey } = await import('./commands/key-create.ts');
      await createKey(await start(command), file, options.type);
    });
  keys
    .command('show')
    .argument('[file]', 'a key file (default: <state>/author/key.pem)')
    .description('print the public half, to hand to others')
    .addHelpText('after', example('countersign key show > ada.json'))
    .action(async (file: string | undefined, _options: unknown, command: Command) => {
      const { showKey } = await import('./commands/key-show.ts');
      await showKey(await start(command), file);
    });
  authorOptions(
    program
      .command('claim')
      .argument('<names...>', 'projects such as npm/left-pad')
      .description('claim a name for your key, which is made if you have none')
      .addHelpText('after', example('countersign claim npm/hello-countersign')),
  )
    .option('--with <files...>', 'further keys of your own that shall own it, such as one from a drawer')
    .option('--threshold <n>', 'how many of the keys must sign', '1')
    .action(async (names: string[], options: { with?: string[]; threshold: string }, command: Command) => {
      const { claim } = await import('./commands/claim.ts');
      await claim(await start(command), names, options);
    });
  authorOptions(
    program
      .command('publish')
      .argument('<paths...>', 'package folders, .tgz files, or with --project any files')
      .description('pack with your own npm, sign, publish, and see it through your own verifying client')
      .option('--project <project>', 'what plain files belong to, such as files/handbook')
      .option('--tag <tag>', 'dist-tag to move (default: latest, never backwards)')
      .option('--dry-run', 'show what would be signed, and stop')
      .option('--with <files...>', 'further keys of your own to sign with')
      .addHelpText('after', example('countersign publish examples/hello-countersign')),
  ).action(async (paths: string[], options: PublishOptions, command: Command) => {
    const { publish } = await import('./commands/publish.ts');
    await publish(await start(command), paths, options);
  });
}

function addYank(program: Command, start: Start): void {
  authorOptions(
    program
      .command('yank')
      .argument('<version>', 'such as npm/left-pad@1.2.3')
      .description('tell everybody not to choose a version any more; lock files that name it go on working')
      .option('--reason <text>', 'what users are told')
      .option('--undo', 'take it back')
      .option('--with <files...>', 'further keys of your own to sign with')
      .addHelpText('after', example('countersign yank npm/left-pad@1.2.3 --reason "leaks memory"')),
  ).action(async (version: string, options: YankOptions, command: Command) => {
    const { yank } = await import('./commands/yank.ts');
    await yank(await start(command), version, options);
  });
}

function addOwnerCommands(program: Command, start: Start): void {
  const withKeys = (command: Command): Command =>
    authorOptions(command).option('--with <files...>', 'further keys of your own to sign with');
  withKeys(
    program
      .command('owners')
      .argument('<name>', 'a project such as npm/left-pad')
      .description('who owns a project; invite, remove or replace owners, change how many must sign')
      .option('--add <files...>', 'public key files of new owners, from `countersign key show`; each signs as well')
      .option('--remove <keys...>', 'owners to remove, by the beginning of their key ids')
      .option('--only', 'hand the project over: only the added keys stay')
      .option('--threshold <n>', 'how many owners must sign')
      .addHelpText('after', example('countersign owners npm/left-pad --add ben.json --threshold 2')),
  ).action(async (name: string, options: OwnersOptions, command: Command) => {
    const { owners } = await import('./commands/owners.ts');
    await owners(await start(command), name, options);
  });
  const releaseKeys = program.command('release-key').description('keys that may publish and nothing else');
  for (const act of ['add', 'remove'] as const) {
    withKeys(
      releaseKeys
        .command(act)
        .argument('<name>', 'a project such as npm/left-pad')
        .argument(
          '<key>',
          act === 'add' ? 'public key file, from `countersign key show`' : 'the beginning of the key id',
        )
        .description(act === 'add' ? 'let a key publish, such as that of a build service' : 'end that, at once')
        .option('--label <word>', 'what the key is for', 'release')
        .addHelpText(
          'after',
          example(`countersign release-key ${act} npm/left-pad ${act === 'add' ? 'ci.json' : '3fa4'} --label ci`),
        ),
    ).action(async (name: string, key: string, options: ReleaseKeyOptions, command: Command) => {
      const { releaseKey } = await import('./commands/release-key.ts');
      await releaseKey(await start(command), act, name, key, options);
    });
  }
  authorOptions(
    program
      .command('sign')
      .argument('[event]', 'the event to sign; without one, all that wait are listed')
      .description('see what waits for signatures, and add yours')
      .option('--quorum', "sign with the collection's offline key")
      .option('--yes', 'do not ask')
      .addHelpText('after', example('countersign sign')),
  ).action(async (event: string | undefined, options: SignOptions, command: Command) => {
    const { sign } = await import('./commands/sign.ts');
    await sign(await start(command), event, options);
  });
  for (const [decision, about] of SHORT_DECISIONS) {
    const command = withKeys(
      program
        .command(decision)
        .argument('<name>', 'a project such as npm/left-pad')
        .description(about)
        .addHelpText('after', example(`countersign ${decision} npm/left-pad`)),
    );
    if (QUORUM_DECISIONS.has(decision)) command.option('--quorum', 'decide for the offline quorum');
    if (decision === 'freeze' || decision === 'retire') command.option('--reason <word>', 'why');
    if (decision === 'retire') command.option('--evidence <file>', 'with --quorum: the document that justifies it');
    command.action(async (name: string, options: NameDecisionOptions, given: Command) => {
      const { decideName } = await import('./commands/name-decision.ts');
      await decideName(await start(given), decision, name, options);
    });
  }
}

const SHORT_DECISIONS: readonly (readonly [ShortDecision, string])[] = [
  ['freeze', 'stop a project at once, with any one owner key, until the owners or the quorum lift it'],
  ['revoke', 'declare your key stolen: it never counts again, and the project is stopped'],
  ['lift', 'end a stop'],
  ['veto', 'object to a request that waits: a change of owners, a recovery, an adoption'],
  ['abandon', 'say that you no longer care for a project'],
  ['keep', 'take that back'],
  ['retire', 'end a project for good'],
];
const QUORUM_DECISIONS: ReadonlySet<ShortDecision> = new Set(['freeze', 'lift', 'veto', 'retire']);

function authorOptions(command: Command): Command {
  return command
    .option('--key <file>', 'your key (default: <state>/author/key.pem)')
    .option('--token-file <file>', 'token to submit with (default: <state>/<collection>.token)');
}

function addConsumerCommands(program: Command, start: Start): void {
  program.commandsGroup('For consumers:');
  program
    .command('gateway')
    .description('run the gateway that npm and other package clients talk to; they get verified bytes only')
    .option('--listen <address>', 'host:port (default: 127.0.0.1:7411)')
    .option('--refresh-seconds <seconds>', 'how long an update counts as recent (default: 5)')
    .option('--new-owners <policy>', 'show owners whom the ones before did not appoint, or stop (default: show)')
    .option(
      '--relay-unlisted',
      'fetch names that no role covers from the registry npm is set up for, labelled unverified',
    )
    .addHelpText('after', example('countersign gateway --listen 127.0.0.1:7411'))
    .action(async (options: { listen?: string }, command: Command) => {
      const { gateway } = await import('./commands/gateway.ts');
      await gateway(await start(command), options);
    });
  program
    .command('fetch')
    .argument('<target>', 'a path, or in a registry <ecosystem>/<name>[@<version, tag or file>]')
    .description('download one file, verified to its last byte')
    .option('-o, --output <file>', 'where to put it (default: its own name, here)')
    .option('--new-owners <policy>', 'show owners whom the ones before did not appoint, or stop (default: show)')
    .addHelpText('after', example('countersign fetch npm/hello-countersign@1.0.0'))
    .action(async (target: string, options: { output?: string }, command: Command) => {
      const { fetchTarget } = await import('./commands/fetch.ts');
      await fetchTarget(await start(command), target, options);
    });
  program
    .command('ls')
    .argument('[name]', 'a project such as npm/left-pad; in a plain collection a folder such as docs')
    .description('list the names of the collection, the files of one, or the files of a plain collection')
    .addHelpText('after', example('countersign ls npm/hello-countersign'))
    .action(async (name: string | undefined, _options: unknown, command: Command) => {
      const { ls } = await import('./commands/ls.ts');
      await ls(await start(command), name);
    });
  program
    .command('trust')
    .argument('<name>', 'a project such as npm/left-pad')
    .description('confirm owners whom the ones before them did not appoint')
    .addHelpText('after', example('countersign trust npm/left-pad'))
    .action(async (name: string, _options: unknown, command: Command) => {
      const { trust } = await import('./commands/trust.ts');
      await trust(await start(command), name);
    });
  program.commandsGroup('For trying it:');
  program
    .command('dev')
    .description('a ready collection, its service and a gateway in one process (what `npm start` runs)')
    .option('--host <address>', 'address to listen on (default: 127.0.0.1)')
    .option('--port <port>', 'port of the service, 0 for a free one (default: 7410)')
    .addOption(new Option('--gateway-port <port>', 'port of the gateway, 0 for a free one (default: 7411)'))
    .addHelpText('after', example('countersign dev --port 0 --gateway-port 0'))
    .action(async (_options: unknown, command: Command) => {
      const { dev } = await import('./commands/dev.ts');
      await dev(await start(command));
    });
}

function addAuditorCommands(program: Command, start: Start): void {
  program.commandsGroup('For auditors:');
  program
    .command('audit')
    .description('replay every decision from public files, and compare what follows with what is signed')
    .addHelpText('after', example('countersign audit'))
    .action(async (_options: unknown, command: Command) => {
      const { audit } = await import('./commands/audit.ts');
      await audit(await start(command));
    });
  program
    .command('history')
    .argument('[name]', 'a project such as npm/left-pad')
    .description('every decision about a name, or about all')
    .addHelpText('after', example('countersign history npm/left-pad'))
    .action(async (name: string | undefined, _options: unknown, command: Command) => {
      const { history } = await import('./commands/history.ts');
      await history(await start(command), name);
    });
}

type Flags = Settings & { readonly config?: string };

/** The flags that are settings; the rest are the command's own. */
function pick(flags: Readonly<Record<string, unknown>>): Settings {
  const settings: Record<string, string | boolean> = {};
  for (const name of SETTING_FLAGS) {
    const value = flags[name];
    if (typeof value === 'string' || typeof value === 'boolean') settings[name] = value;
  }
  return settings;
}

function example(line: string): string {
  return `\nExample:\n  ${line}\n`;
}

const LAYOUTS = `
Layouts:
  registry  projects with owners: authors claim names and sign for themselves
  bins      plain files under any path, signed by the service; every TUF client
            can read it. Paths are spread over bins by their hash: 256 are good
            for up to some 100,000 files, 16384 for millions. A client reads one
            bin for a file, and a line for every bin
  succinct  the same with TAP 15, which fewer clients know: less to read where
            there are many bins
\`countersign layout\` shows later whether the number still fits, and changes it
while clients go on.
`;
const SETTING_FLAGS = [
  'state',
  'url',
  'collection',
  'root',
  'tokenFile',
  'key',
  'host',
  'port',
  'processes',
  'gatewayPort',
  'refreshSeconds',
  'relayUnlisted',
  'newOwners',
  'database',
  'store',
];
// What a next command must be told again.
const REPEATED_FLAGS = ['config', 'state', 'url', 'collection', 'root'] as const;
const USAGE_EXIT = 2;
const HELP_END = `
Exit codes: 0 done, 1 fault, 2 usage, 3 refused as untrue, 4 not found,
5 not reachable, 6 local state, 7 key or passphrase, 8 refused by the service.

Example:
  countersign claim npm/hello-countersign

Settings come from flags, then from these variables, then from countersign.json
(\`gatewayPort\` there is COUNTERSIGN_GATEWAY_PORT here), then from defaults:`;
