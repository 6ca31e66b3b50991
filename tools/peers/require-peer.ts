// How a test gets a peer. Where it is missing the test is reported as not run,
// with the reason; in CI it fails, so that nothing is green for want of trying.

import type { TestContext } from 'vitest';
import { type Peer, type PeerName, peer, type ReadyPeer } from './peers.mjs';
import type { FoundServer } from './servers.ts';

/**
 * The peer, ready to run. Ends the test where it is missing.
 *
 * @throws Error when it is missing and `CI` is set
 * @example test('python-tuf fetches it', async (context) => { const python = requirePeer('python-tuf', context); … })
 */
export function requirePeer(name: PeerName, context: TestContext): ReadyPeer {
  return readyOrNotRun(peer(name), context, isCi());
}

/** What {@link requirePeer} does with what it finds. */
export function readyOrNotRun(found: Peer, context: Pick<TestContext, 'skip'>, ci: boolean): ReadyPeer {
  if (found.available) return found;
  const note = `peer ${found.name} is missing: ${found.why}`;
  if (ci) throw new Error(note);
  return context.skip(note);
}

/**
 * A server's programs. Ends the test where they are missing.
 *
 * @throws Error when they are missing and `CI` is set
 */
export function requireServer(
  found: FoundServer,
  context: Pick<TestContext, 'skip'>,
  ci = isCi(),
): FoundServer & { readonly available: true } {
  if (found.available) return found;
  const note = `peer ${found.name} is missing: ${found.why}`;
  if (ci) throw new Error(note);
  return context.skip(note);
}

function isCi(): boolean {
  const value = process.env['CI'] ?? '';
  return value !== '' && value !== '0' && value !== 'false';
}
