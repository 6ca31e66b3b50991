// Set-up of the test project `peers`: installs what is not installed yet, once
// for the whole run, and says which peers are missing. Never fails by itself: a
// test that needs a missing peer says so (require-peer.ts).

import { ensurePeer, PEER_NAMES } from './peers.mjs';
import { ensurePostgres } from './postgres.ts';
import { ensureS3Server } from './s3-server.ts';

/** Called by vitest before the first test of the project. */
export async function setup(): Promise<void> {
  const servers = [ensurePostgres(say), ensureS3Server(say)];
  const peers = await Promise.all([...PEER_NAMES.map((name) => ensurePeer(name, say)), ...servers]);
  for (const peer of peers) {
    if (!peer.available) say(`peer ${peer.name}: MISSING, tests that need it are not run: ${peer.why}`);
  }
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
