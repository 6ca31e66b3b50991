// `countersign serve`: the service over the collections on this machine, until
// it is asked to stop.

import { isTufError, UsageError } from '@countersign/core';
import type { RepositoryEvent } from '@countersign/repository';
import { type Server, type ServerOptions, startServer } from '@countersign/server';
import type { Context } from '../context.ts';
import { eventLog, type RunningEvent } from '../event-lines.ts';
import { collectionNames, openCollections, storesOf } from '../local-collections.ts';
import type { Served, Task } from '../processes.ts';

/** Serves the named collections, or all there are. @throws UsageError COLLECTION_MISSING, CONFIG_INVALID; SignerError; StoreError */
export async function serve(context: Context, names: readonly string[]): Promise<void> {
  const { shell, config, output } = context;
  shell.becomeService?.();
  const { fellow } = shell;
  const beside = fellow?.task.beside;
  const tell = eventLog(shell, output.json);
  const log = (event: RunningEvent): void => {
    if (fellow === undefined || isNews(event, fellow.task)) tell(event);
  };
  const asked = names.length > 0 ? names : (config.collections ?? (await collectionNames(config)));
  const server = await startService(context, beside?.names ?? asked, log);
  fellow?.serves({ port: server.port, names: server.names, unserved: server.unserved });
  await shell.untilStopped();
  await server.close();
}

/** What every process would say is said by one. */
function isNews({ event }: RunningEvent, { number, beside }: Task): boolean {
  if (event === 'expiring') return number === 1;
  return beside === undefined || (event !== 'listening' && event !== 'unserved');
}

/** Opens collections and starts the service over them. @throws as {@link serve} */
export async function startService(
  { shell, config }: Pick<Context, 'shell' | 'config'>,
  names: readonly string[],
  log: (event: RunningEvent) => void,
): Promise<Server & Served> {
  const task = shell.fellow?.task;
  const among = task && (task.beside === undefined ? 'first' : 'others');
  if (names.length === 0) {
    throw new UsageError('COLLECTION_MISSING', 'Starting the service: there is no collection to serve', {
      detail: { state: config.state },
    });
  }
  const stores = storesOf({ shell, config });
  try {
    const tell = (collection: string) => (event: RepositoryEvent) => log({ ...event, collection });
    const opened = await openCollections({ shell, config }, names, stores, tell, among);
    const { collections } = opened;
    const unserved = task?.beside?.unserved ?? opened.unserved;
    const { host } = config;
    const { port } = task ?? config;
    const server = await listen({ collections, unserved, host, port, log }).catch(async (error: unknown) => {
      for (const { repository } of collections) await repository.close();
      throw error;
    });
    return {
      ...server,
      names: collections.map(({ name }) => name),
      unserved,
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
