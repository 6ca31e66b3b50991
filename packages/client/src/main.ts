// The entry of the command `countersign-client`: binds it to this process and
// nothing else. Bundled into one file by `npm run bundle`; started by
// bin/countersign-client.cjs.

import { runCommand } from './node/command.ts';

// No await outermost: the bundle is CommonJS, which starts faster.
void runCommand(process.argv.slice(2), {
  out: (line) => process.stdout.write(`${line}\n`),
  err: (line) => process.stderr.write(`${line}\n`),
}).then((code) => {
  process.exitCode = code;
});
