// `countersign serve`: the service over the collections on this machine, until
// it is asked to stop.

import { isTufError, UsageError } from '@countersign/core';
import type { RepositoryEvent } from '@countersign/repository';
import { type Server, type ServerOptions, startServer } from '@countersign/server';
import type { Context } from '../context.ts';
import { eventLog, type RunningEvent } from '../event-lines.ts';
import { collectionNames, openCollections, storesOf } from '../local-collections.ts';

/** Serves the named collections, or all there are. @throws UsageError COLLECTION_MISSING, CONFIG_INVALID; SignerError; StoreError */
export async function serve(context: Context, names: readonly string[]): Promise<void> {
  const { shell, config, output } = context;
  shell.becomeService?.();
  const log = eventLog(shell, output.json);
  const server = await startService(
    context,
    names.length > 0 ? names : (config.collections ?? (await collectionNames(config))),
    log,
  );
  await shell.untilStopped();
  await server.close();
}

/** Opens collections and starts the service over them. @throws as {@link serve} */
export async function startService(
  { shell, config }: Pick<Context, 'shell' | 'config'>,
  names: readonly string[],
  log: (event: RunningEvent) => void,
): Promise<Server> {
  if (names.length === 0) {
    throw new UsageError('COLLECTION_MISSING', 'Starting the service: there is no collection to serve', {
      detail: { state: config.state },
    });
  }
  const stores = storesOf({ shell, config });
  try {
    const tell = (collection: string) => (event: RepositoryEvent) => log({ ...event, collection });
    const { collections, unserved } = await openCollections({ shell, config }, names, stores, tell);
    const { host, port } = config;
    const server = await listen({ collections, unserved, host, port, log }).catch(async (error: unknown) => {
      for (const { repository } of collections) await repository.close();
      throw error;
    });
    return {
      ...server,
      async close() {
        await server.close();
        await stores.close();
      },
    };
  } catch (error) {
    await stores.close();
    throw error;
  }
}

async function listen(options: ServerOptions): Promise<Server> {
  try {
    return await startServer(options);
  } catch (cause) {
    throw cannotListen('the service', options.port ?? 0, 'port', cause);
  }
}

/** A failure to listen, with the way out. */
export function cannotListen(what: string, port: number, flag: 'port' | 'gateway-port', cause: unknown): unknown {
  const origin = isTufError(cause) ? cause.cause : cause;
  const code = origin instanceof Error && 'code' in origin ? origin.code : undefined;
  if (code !== 'EADDRINUSE' && code !== 'EACCES' && code !== 'EADDRNOTAVAIL') return cause;
  const problem = code === 'EADDRINUSE' ? 'is in use' : 'cannot be listened on';
  const variable = `COUNTERSIGN_${flag.replace('-', '_').toUpperCase()}`;
  return new UsageError(
    'CONFIG_INVALID',
    `Starting ${what}: port ${port} ${problem}; stop what uses it, or choose another with --${flag} or ${variable} (0 takes a free one)`,
    { detail: { port }, cause },
  );
}
