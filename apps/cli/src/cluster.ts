// The command in several processes, by node:cluster: the first process opens
// the port, and the others accept from it by themselves, so that no connection
// is on its way through a process when another one dies. What they tell each
// other: the task, questions for a passphrase, that one serves. A process whose
// first one is gone ends at once, as Node.js has it.

import cluster from 'node:cluster';
import { availableParallelism } from 'node:os';
import type { Served, Started, Task } from './processes.ts';
import type { Fellow, Processes, Shell } from './shell.ts';

type Asked =
  | { readonly asks: 'task' }
  | { readonly asks: 'secret'; readonly question: string }
  | { readonly served: Served };
type Told =
  | { readonly task: Task; readonly hasTerminal: boolean }
  | { readonly question: string; readonly answer: string };

/** What starts further processes of this command. Passphrases are asked for here, once. */
export function processesBy(ask: Shell['ask']): Processes {
  const answers = new Map<string, Promise<string>>();
  // Each process accepts for itself: the death of one touches no connection of another.
  cluster.schedulingPolicy = cluster.SCHED_NONE;
  const answer = async (question: string): Promise<string> => {
    const given = answers.get(question) ?? ask?.(question) ?? Promise.resolve('');
    answers.set(question, given);
    return await given;
  };
  return {
    cores: availableParallelism(),
    start(task) {
      const worker = cluster.fork();
      const tell = (told: Told): void => void worker.send(told, () => undefined); // it may be gone
      const serving = new Promise<Served>((resolve) => {
        worker.on('message', (asked: Asked) => {
          if ('served' in asked) resolve(asked.served);
          else if (asked.asks === 'task') tell({ task, hasTerminal: ask !== undefined });
          else void answer(asked.question).then((given) => tell({ question: asked.question, answer: given }));
        });
      });
      return {
        pid: worker.process.pid ?? 0,
        serving,
        ended: new Promise((resolve) => {
          worker.once('exit', (code: number | null, signal: string | null) => resolve({ code, signal }));
          // Where the system cannot start it there is no end.
          worker.once('error', () => {
            if (worker.process.pid === undefined) resolve({ code: 1, signal: null });
          });
        }),
        stop: () => void worker.process.kill('SIGTERM'),
      } satisfies Started;
    },
  };
}

/** What this process was started for; `undefined` if it is the first one. */
export async function fellowship(): Promise<(Fellow & { readonly ask: Shell['ask']; leave(): void }) | undefined> {
  const { worker } = cluster;
  if (worker === undefined) return undefined;
  const waiting = new Map<string, (answer: string) => void>();
  const tell = (asked: Asked): void => void worker.send(asked, () => undefined); // without the first process there is no second
  const { task, hasTerminal } = await new Promise<Extract<Told, { task: Task }>>((resolve) => {
    worker.on('message', (told: Told) => {
      if ('task' in told) resolve(told);
      else waiting.get(told.question)?.(told.answer);
    });
    tell({ asks: 'task' });
  });
  const ask = async (question: string): Promise<string> =>
    await new Promise((resolve) => {
      waiting.set(question, resolve);
      tell({ asks: 'secret', question });
    });
  return {
    task,
    ask: hasTerminal ? ask : undefined,
    serves: (served) => tell({ served }),
    leave: () => worker.disconnect(),
  };
}
