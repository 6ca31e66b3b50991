// `npm run proof:faults`: the whole fault suite, of which `npm test` runs a
// seeded sample; prints what happened in counts, and ends with 1 as soon as a
// promise is broken. Takes three quarters of an hour. Needs a build, and the
// peers that tests install.
// Options: COUNTERSIGN_SEED for other moments, COUNTERSIGN_SHARE for a part of it such as 0.1.

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const vitest = fileURLToPath(new URL('../node_modules/vitest/vitest.mjs', import.meta.url));
const suite = 'apps/server/src/faults.peer.test.ts';
const child = spawn(process.execPath, [vitest, 'run', '--project', 'peers', suite, ...process.argv.slice(2)], {
  cwd: root,
  stdio: 'inherit',
  // What cannot be tried is a failure here.
  env: { ...process.env, COUNTERSIGN_FAULTS: 'whole', CI: 'true' },
});
child.once('exit', (code) => {
  process.exitCode = code ?? 1;
});
