// What every command is handed: its surroundings, its settings, its voice.

import type { Config } from './config.ts';
import type { Output } from './output.ts';
import type { Shell } from './shell.ts';

/** The context of one command. */
export interface Context {
  readonly shell: Shell;
  readonly config: Config;
  readonly output: Output;
  /** A command to type next, spelt as this one was and with the same settings. @example suggest('claim npm/ms') */
  readonly suggest: (command: string) => string;
}
