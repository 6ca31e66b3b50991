// What a command may use of the process it runs in. Everything ambient comes
// through here, so that tests run commands in-process with a fixed clock and
// their own environment. Commands never touch `process` themselves.

import { isAbsolute, relative } from 'node:path';
import type { Instant } from '@countersign/core';
import type { Served, Started, Task } from './processes.ts';

/** The surroundings of one command. */
export interface Shell {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: () => Instant;
  /** Where results go. */
  readonly stdout: Stream;
  /** Where progress, notices and errors go. */
  readonly stderr: Stream;
  /** Asks for a secret on a terminal; `undefined` where there is nobody to ask. */
  readonly ask: ((question: string) => Promise<string>) | undefined;
  /** Asks for a yes or no on a terminal; `undefined` where there is nobody to ask. */
  readonly confirm?: ((question: string) => Promise<boolean>) | undefined;
  /** Says that this command is a service: it goes on when nobody reads what it prints. Anything else ends then. */
  readonly becomeService?: () => void;
  /** Further processes of the same command; absent where there can be none. */
  readonly processes?: () => Promise<Processes>;
  /** In one of several processes: what the first one has started it for. */
  readonly fellow?: Fellow | undefined;
  /** Resolves when the user or the system asks the process to stop. Until it is called, being asked ends the process at once. */
  untilStopped(): Promise<void>;
}

/** What starts further processes. */
export interface Processes {
  /** How many the machine can run at once. */
  readonly cores: number;
  /** Starts one that runs the same command, and finds its task in its own shell. */
  start(task: Task): Started;
}

/** What a process knows that another one has started. */
export interface Fellow {
  readonly task: Task;
  /** Tells the first process that this one serves. */
  serves(served: Served): void;
}

/** A stream of text, and whether a person looks at it. */
export interface Stream {
  write(text: string): void;
  readonly isTerminal: boolean;
}

/** A path as a person would write it in the current folder. */
export function shownPath(path: string, { cwd }: Pick<Shell, 'cwd'>): string {
  const shown = relative(cwd, path);
  return shown === '' ? '.' : shown.startsWith('..') || isAbsolute(shown) ? path : shown;
}

/** The environment for programs of others: without our tokens and passphrases. */
export function foreignEnvironment({ env }: Pick<Shell, 'env'>): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.toUpperCase().startsWith('COUNTERSIGN_')));
}

/** How the user spells this command: what `Next:` lines are to begin with. */
export function commandName(shell: Pick<Shell, 'env'>): string {
  // npm tells its children which of its commands started them.
  return shell.env['npm_command'] === undefined ? 'countersign' : 'npx countersign';
}
