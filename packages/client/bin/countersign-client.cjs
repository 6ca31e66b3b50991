#!/usr/bin/env node
// The launcher behind the command `countersign-client`. It is not compiled: npm
// links commands when it installs, which in a fresh clone is before anything is built.

const { existsSync } = require('node:fs');
const path = require('node:path');

const bundle = path.join(__dirname, '..', 'dist', 'countersign-client.cjs');
if (existsSync(bundle)) {
  require(bundle);
} else {
  process.stderr.write(
    'countersign-client is not built yet\n  Next: run `npm run build && npm run bundle -w @countersign/client` in the clone\n',
  );
  process.exitCode = 1;
}
