// The entry of the command `countersign`: binds a command to this process and
// nothing else. Started by bin/countersign.js, and by `npm start`.

import { run } from './program.ts';
import type { Shell } from './shell.ts';

let isService = false;
process.stdout.on('error', unwritten);
process.stderr.on('error', () => undefined); // nobody is left to be told

// Only a process that another one has started can be spoken to.
const fellow = process.send === undefined ? undefined : await (await import('./cluster.ts')).fellowship();
const hasTerminal = fellow === undefined && process.stdin.isTTY && process.stderr.isTTY;
const ask = fellow?.ask ?? (hasTerminal ? askOnTerminal : undefined);

const shell: Shell = {
  cwd: process.cwd(),
  env: process.env,
  clock: Date.now,
  stdout: { write: (text) => process.stdout.write(text), isTerminal: process.stdout.isTTY },
  stderr: { write: (text) => process.stderr.write(text), isTerminal: process.stderr.isTTY },
  ask,
  confirm: hasTerminal ? confirmOnTerminal : undefined,
  processes: async () => (await import('./cluster.ts')).processesBy(ask),
  fellow,
  becomeService: () => {
    isService = true;
  },
  untilStopped,
};

process.exitCode = await run(process.argv.slice(2), shell);
fellow?.leave();

/** A service goes on without a log. Whatever else nobody reads, as in `… | head`, has nobody to work for. */
function unwritten(error: NodeJS.ErrnoException): void {
  if (isService) return;
  if (error.code === 'EPIPE') process.exit(BROKEN_PIPE_EXIT);
  process.stderr.write(`error: the result cannot be written: ${error.message}\n`);
  process.exit(1);
}

/** Asked a second time, it ends at once. One of several processes hears the same from a terminal, its system and the first one. */
function untilStopped(): Promise<void> {
  return new Promise((resolve) => {
    let asked = 0;
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.on(signal, () => {
        if (signal === 'SIGINT' || fellow === undefined) asked++;
        if (asked > 1) process.exit(130);
        resolve();
      });
    }
  });
}

async function askOnTerminal(question: string): Promise<string> {
  const { isCancel, password } = await import('@clack/prompts');
  const answer = await password({ message: question, output: process.stderr });
  if (isCancel(answer)) process.exit(130);
  return answer ?? '';
}

async function confirmOnTerminal(question: string): Promise<boolean> {
  const { confirm, isCancel } = await import('@clack/prompts');
  const answer = await confirm({ message: question, initialValue: false, output: process.stderr });
  if (isCancel(answer)) process.exit(130);
  return answer;
}

// As a shell reports the end by SIGPIPE, which Node.js never gets.
const BROKEN_PIPE_EXIT = 141;
