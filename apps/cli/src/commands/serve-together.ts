// `countersign serve --processes`: the process that starts the others, which
// run the same command. It opens no collection itself.

import { setTimeout } from 'node:timers/promises';
import { UsageError } from '@countersign/core';
import type { Context } from '../context.ts';
import { eventLog } from '../event-lines.ts';
import { ToldAlready } from '../output.ts';
import { Company } from '../processes.ts';

/** How many processes shall serve; 1 in each of several. @throws UsageError USAGE_INVALID where there can be only one */
export async function processCount({ shell, config: { processes } }: Context): Promise<number> {
  if (shell.fellow !== undefined || processes === 1) return 1;
  const { cores } = (await shell.processes?.()) ?? {};
  if (cores === undefined) throw new UsageError('USAGE_INVALID', 'Starting the service: there can be only one process');
  return processes === 'auto' ? cores : processes;
}

/** Serves with several processes until it is asked to stop. @throws ToldAlready when the first of them could not start */
export async function serveTogether({ shell, config, output }: Context, count: number): Promise<void> {
  shell.becomeService?.();
  const processes = await shell.processes?.();
  if (processes === undefined) return;
  const exit = await new Company({
    count,
    port: config.port,
    start: (task) => processes.start(task),
    stopped: shell.untilStopped(),
    clock: shell.clock,
    pause: async (millis, signal) => await setTimeout(millis, undefined, { signal }).catch(() => undefined), // aborted
    log: eventLog(shell, output.json),
  }).run();
  if (exit !== 0) throw new ToldAlready(exit);
}
