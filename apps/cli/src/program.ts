// The command line: which commands there are, what each is told, and how its
// outcome becomes text and exit code. Commands are loaded when they run, so
// that `--help` does not wait for a database.

import { UsageError } from '@countersign/core';
import { Command, CommanderError, Option } from 'commander';
import { knownVariables, loadConfig, type Settings } from './config.ts';
import type { Context } from './context.ts';
import { columns, type Output, outputOf } from './output.ts';
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
  addAuthorCommands(program, start);
  addYank(program, start);
  addConsumerCommands(program, start);
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
    .option('--shard-digits <n>', 'hex digits by which names are spread over shards, 0 to 4', '1')
    .addHelpText('after', example('COUNTERSIGN_PASSPHRASE=… countersign init main'))
    .action(async (name: string, options: { dev?: boolean; shardDigits: string }, command: Command) => {
      const { init } = await import('./commands/init.ts');
      await init(await start(command), name, options);
    });
  program
    .command('serve')
    .argument('[names...]', 'collections to serve (default: all there are)')
    .description('serve collections: static metadata and files for all, submissions for holders of a token')
    .option('--host <address>', 'address to listen on (default: 127.0.0.1)')
    .option('--port <port>', 'port, 0 for a free one (default: 7410)')
    .addHelpText('after', example('countersign serve --port 7410'))
    .action(async (names: string[], _options: unknown, command: Command) => {
      const { serve } = await import('./commands/serve.ts');
      await serve(await start(command), names);
    });
  program
    .command('promote')
    .argument('[names...]', 'projects such as npm/left-pad')
    .description('move recent names into the claimed shards, with the offline key')
    .option('--all', 'all recent names')
    .option('--token-file <file>', 'token to submit with (default: <state>/<collection>.token)')
    .addHelpText('after', example('countersign promote npm/left-pad'))
    .action(async (names: string[], options: { all?: boolean }, command: Command) => {
      const { promote } = await import('./commands/promote.ts');
      await promote(await start(command), names, options);
    });
  program
    .command('token')
    .description('tokens to submit with')
    .command('create')
    .argument('<account>', 'who it is for')
    .description('issue a token; it is shown once')
    .addHelpText('after', example('countersign token create alice > alice.token'))
    .action(async (account: string, _options: unknown, command: Command) => {
      const { createToken } = await import('./commands/token-create.ts');
      await createToken(await start(command), account);
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
  program
    .command('key')
    .description('signing keys')
    .command('create')
    .argument('[file]', 'where to keep it (default: <state>/author/key.pem)')
    .description('make a key in an encrypted file')
    .option('--type <type>', 'ed25519, ecdsa-p256, ecdsa-p384 or rsa-pss', 'ed25519')
    .addHelpText('after', example('countersign key create'))
    .action(async (file: string | undefined, options: { type: string }, command: Command) => {
      const { createKey } = await import('./commands/key-create.ts');
      await createKey(await start(command), file, options.type);
    });
  authorOptions(
    program
      .command('claim')
      .argument('<names...>', 'projects such as npm/left-pad')
      .description('claim a name for your key, which is made if you have none')
      .addHelpText('after', example('countersign claim npm/hello-countersign')),
  ).action(async (names: string[], _options: unknown, command: Command) => {
    const { claim } = await import('./commands/claim.ts');
    await claim(await start(command), names);
  });
  authorOptions(
    program
      .command('publish')
      .argument('<paths...>', 'package folders, .tgz files, or with --project any files')
      .description('pack with your own npm, sign, publish, and see it through your own verifying client')
      .option('--project <project>', 'what plain files belong to, such as files/handbook')
      .option('--tag <tag>', 'dist-tag to move (default: latest, never backwards)')
      .option('--dry-run', 'show what would be signed, and stop')
      .addHelpText('after', example('countersign publish examples/hello-countersign')),
  ).action(async (paths: string[], options: { project?: string; tag?: string; dryRun?: boolean }, command: Command) => {
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
      .addHelpText('after', example('countersign yank npm/left-pad@1.2.3 --reason "leaks memory"')),
  ).action(async (version: string, options: { reason?: string; undo?: boolean }, command: Command) => {
    const { yank } = await import('./commands/yank.ts');
    await yank(await start(command), version, options);
  });
}

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
    .argument('<target>', 'a target path, or <ecosystem>/<name>[@<version, tag or file>]')
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
    .argument('[name]', 'a project such as npm/left-pad')
    .description('list the names of the collection, or the files of one')
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

const SETTING_FLAGS = [
  'state',
  'url',
  'root',
  'tokenFile',
  'key',
  'host',
  'port',
  'gatewayPort',
  'refreshSeconds',
  'relayUnlisted',
  'newOwners',
];
// What a next command must be told again.
const REPEATED_FLAGS = ['config', 'state', 'url', 'root'] as const;
const USAGE_EXIT = 2;
const HELP_END = `
Exit codes: 0 done, 1 fault, 2 usage, 3 refused as untrue, 4 not found,
5 not reachable, 6 local state, 7 key or passphrase, 8 refused by the service.

Example:
  countersign claim npm/hello-countersign

Settings come from flags, then from these variables, then from countersign.json
(\`gatewayPort\` there is COUNTERSIGN_GATEWAY_PORT here), then from defaults:`;
