// The public surface of @countersign/cli: the command line as a function, for
// tests and tools that run commands in their own process.

export { run } from './program.ts';
export type { Shell, Stream } from './shell.ts';
