#!/usr/bin/env node
// The launcher behind the command `countersign`. It is not compiled: npm links
// commands when it installs, which in a fresh clone is before anything is built.

import { existsSync } from 'node:fs';

const main = new URL('../dist/main.js', import.meta.url);

if (existsSync(main)) {
  await import(main.href);
} else {
  process.stderr.write('countersign is not built yet\n  Next: run `npm start`, or `npm run build`, in the clone\n');
  process.exitCode = 1;
}
