// `countersign gateway`: what unmodified package clients talk to, on the
// user's own machine, until it is asked to stop.

import { join } from 'node:path';
import { UsageError } from '@countersign/core';
import { type Gateway, type Log, npmRegistryOf, startGateway } from '@countersign/gateway';
import type { Context } from '../context.ts';
import { eventLog } from '../event-lines.ts';
import { foreignEnvironment } from '../shell.ts';
import { knownOwnersFile, openTrust } from '../trusted-collection.ts';
import { cannotListen } from './serve.ts';

/** Runs the gateway. @throws UsageError ANCHOR_MISSING, CONFIG_INVALID; StoreError */
export async function gateway(context: Context, options: { readonly listen?: string }): Promise<void> {
  const { shell, output } = context;
  const { host, port } = addressOf(options.listen, context.config);
  shell.becomeService?.();
  const log = eventLog(shell, output.json);
  const running = await startVerifying({ ...context, config: { ...context.config, host, gatewayPort: port } }, log);
  if (output.json)
    shell.stdout.write(
      `${JSON.stringify({ event: 'ready', gateway: running.url, registry: `${running.url}/npm/` })}\n`,
    );
  else for (const line of readyLines(running, context.config.url)) shell.stdout.write(`${line}\n`);
  await shell.untilStopped();
  await running.close();
}

/** Opens a verifying client in its own room and starts the gateway over it. @throws as {@link gateway} */
export async function startVerifying({ shell, config }: Pick<Context, 'shell' | 'config'>, log: Log): Promise<Gateway> {
  const { host, gatewayPort: port, refreshSeconds, state, collection, newOwners } = config;
  const client = await openTrust(config, shell, 'gateway');
  const relayUnlisted = config.relayUnlisted
    ? await npmRegistryOf({ cwd: shell.cwd, env: foreignEnvironment(shell) })
    : undefined;
  try {
    return await startGateway({
      client,
      stateFolder: join(state, 'gateway', `${collection}.files`),
      host,
      port,
      refreshSeconds,
      knownOwners: knownOwnersFile(config),
      newOwners,
      clock: shell.clock,
      log,
      ...(relayUnlisted && { relayUnlisted }),
    });
  } catch (cause) {
    throw cannotListen('the gateway', port, 'gateway-port', cause);
  }
}

function readyLines({ url }: Gateway, collection: string): readonly string[] {
  return [
    `The gateway answers on ${url}: every byte from ${collection}, verified.`,
    '',
    'Use it for one command:',
    `  npm install <name> --registry ${url}/npm/`,
    'or for a project, with this line in its .npmrc:',
    `  registry=${url}/npm/`,
    '',
  ];
}

function addressOf(
  listen: string | undefined,
  config: { host: string; gatewayPort: number },
): { host: string; port: number } {
  if (listen === undefined) return { host: config.host, port: config.gatewayPort };
  const match = /^(?:(.*):)?(\d{1,5})$/.exec(listen);
  const port = Number(match?.[2]);
  if (match === null || port > 65_535) {
    throw new UsageError('USAGE_INVALID', 'Reading --listen: an address is written as host:port', {
      detail: { listen },
    });
  }
  return { host: match[1]?.replace(/^\[(.*)\]$/, '$1') || config.host, port };
}
