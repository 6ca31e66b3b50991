// Whether a site went further than the ledger beside it: somebody put an older
// ledger back. Clients keep what they have seen as floors (§5.4.3), so nothing
// of such a ledger may be shown or published. The site is believed without its
// signature being checked: a lie there can only make us more careful.

import { isTufError, openEnvelope, readTimestamp, StoreError } from '@countersign/core';

/** The version of a timestamp that a site shows; 0 where there is none that can be read, as after a power cut. */
export function shownVersion(bytes: Uint8Array | undefined): number {
  if (bytes === undefined) return 0;
  try {
    return readTimestamp(openEnvelope(bytes, 'timestamp').signed).version;
  } catch (error) {
    if (isTufError(error)) return 0;
    throw error;
  }
}

/** Requires that a site shows nothing later than this version of the timestamp. @throws StoreError STORE_BEHIND */
export function requireNothingLater(held: number, bytes: Uint8Array | undefined): void {
  const shown = shownVersion(bytes);
  if (shown <= held) return;
  throw new StoreError(
    'STORE_BEHIND',
    `Showing timestamp ${held}: the site shows ${shown} already, which this ledger knows nothing of`,
    { detail: { held, shown } },
  );
}
