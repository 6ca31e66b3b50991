// A ledger as one head has it, for reading a whole collection while other
// processes go on to publish: each file by the version that the head's own
// timestamp leads to, and the list of decisions up to its publication. Never
// mixes two heads. Trusts nothing: whoever reads verifies.

import { openEnvelope, readSnapshot, readTimestamp } from '@countersign/core';
import { readEntry } from '@countersign/decisions';
import type { Head, Ledger } from './ports.ts';

/** What is read of a ledger to know a whole collection. */
export type Readable = Pick<Ledger, 'file' | 'decisions'>;

/** A ledger as it was at a head. @throws MetadataError when the head's timestamp or snapshot cannot be read; StoreError */
export async function pinnedLedger(ledger: Readable & Pick<Ledger, 'made'>, head: Head): Promise<Readable> {
  const { files } = await ledger.made(head.publication);
  const timestamp = files.find(({ role }) => role === 'timestamp')?.bytes;
  if (timestamp === undefined) return ledger; // for whoever verifies to say
  const { version } = readTimestamp(openEnvelope(timestamp, 'timestamp').signed).snapshot;
  const snapshot = await ledger.file('snapshot', version);
  if (snapshot === undefined) return ledger;
  const { meta } = readSnapshot(openEnvelope(snapshot, 'snapshot').signed);
  return {
    async file(role, version) {
      // No snapshot lists roots, and a newer one is as good.
      if (version !== undefined || role === 'root') return await ledger.file(role, version);
      if (role === 'timestamp') return timestamp;
      if (role === 'snapshot') return snapshot;
      const listed = meta.get(role)?.version;
      return listed === undefined ? undefined : await ledger.file(role, listed);
    },
    async *decisions(from) {
      for await (const row of ledger.decisions(from)) {
        if (readEntry(row.text).publication > head.publication) return;
        yield row;
      }
    },
  };
}
