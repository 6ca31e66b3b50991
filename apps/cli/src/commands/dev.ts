// `countersign dev`, what `npm start` runs: a ready collection, its service and
// a gateway in one process, on loopback, with random passphrases. For trying
// and for developing; it says so.

import { UsageError } from '@countersign/core';
import type { Context } from '../context.ts';
import { eventLog, type RunningEvent } from '../event-lines.ts';
import { hasCollection, makeCollection, makeState, requireAnchor } from '../local-collections.ts';
import { commandName } from '../shell.ts';
import { startVerifying } from './gateway.ts';
import { madeLines } from './init.ts';
import { startService } from './serve.ts';

/** Runs everything until it is asked to stop. @throws UsageError CONFIG_INVALID, ANCHOR_MISSING; StoreError; SignerError */
export async function dev(context: Context): Promise<void> {
  const { shell, config, output } = context;
  const name = config.collection;
  if (Object.keys(config.shared).length > 0) {
    throw new UsageError('CONFIG_INVALID', 'Starting to try things out: this keeps everything in its own folder', {
      detail: { settings: Object.keys(config.shared) },
    });
  }
  shell.becomeService?.();
  await makeState(config);
  if (await hasCollection(config, name)) {
    await requireAnchor(config, name);
  } else {
    const progress = output.progress(`Creating ${name}`);
    const made = await makeCollection({ shell, config }, name, 'development', { shardDigits: 1 });
    progress.end();
    for (const line of madeLines(made, shell)) output.note(line);
    output.note('');
  }
  const log = quietUntilReady(eventLog(shell, output.json), output.json);
  const server = await startService({ shell, config }, [name], log.tell);
  try {
    const url = `${server.url}/${name}`;
    const gateway = await startVerifying(
      { shell, config: { ...config, url, refreshSeconds: DEV_REFRESH_SECONDS } },
      log.tell,
    );
    try {
      const ready = { service: url, gateway: gateway.url, registry: `${gateway.url}/npm/` };
      if (output.json) shell.stdout.write(`${JSON.stringify({ event: 'ready', ...ready })}\n`);
      else for (const line of readyLines(context, ready)) shell.stdout.write(`${line}\n`);
      log.ready();
      await shell.untilStopped();
    } finally {
      await gateway.close();
    }
  } finally {
    await server.close();
  }
}

function readyLines(
  { shell, config }: Context,
  { service, gateway, registry }: { service: string; gateway: string; registry: string },
): readonly string[] {
  const command = commandName(shell);
  // Elsewhere than by default the other commands must be told.
  const where = service === DEFAULT_URL ? '' : ` --url ${service}`;
  const name = 'hello-countersign';
  return [
    `Countersign is ready: collection \`${config.collection}\`, in development mode.`,
    `  service  ${service}`,
    `  gateway  ${gateway}`,
    '',
    'In another terminal, in this folder:',
    '',
    `  ${command} claim npm/${name}${where}`,
    `  ${command} publish examples/${name}${where}`,
    `  npm install ${name} --registry ${registry} --prefix .countersign/try`,
    '',
    'The first makes your key and claims the name for it, the second signs and publishes,',
    'the third is your own npm, which gets no byte that you did not sign.',
    'Stop with Ctrl-C. What happens:',
    '',
  ];
}

/** Start-up has its own words; what comes after is told as it comes. */
function quietUntilReady(
  tell: (event: RunningEvent) => void,
  json: boolean,
): { tell: (event: RunningEvent) => void; ready: () => void } {
  let loud = json;
  return {
    tell: (event) => {
      // A collection that cannot be published or verified is news at any time.
      const bad =
        event.event === 'failed' || event.event === 'unserved' || event.event === 'fault' || event.event === 'broken';
      if (loud || bad) tell(event);
    },
    ready: () => {
      loud = true;
    },
  };
}

const DEFAULT_URL = 'http://127.0.0.1:7410/main';
// What was published a moment ago is to be seen at once.
const DEV_REFRESH_SECONDS = 1;
