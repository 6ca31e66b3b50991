// Project roles that were read lately: what authors publish again and again is
// opened once per version. Bounded; forgetting costs a look at the ledger.

import { type Envelope, openEnvelope, readTargets, type Targets } from '@countersign/core';
import type { Ledger } from './ports.ts';

/** A role file of the ledger, opened. */
export interface LoadedRole {
  readonly version: number;
  readonly envelope: Envelope;
  readonly content: Targets;
}

/** Opens present role files. */
export class LoadedRoles {
  private readonly ledger: Pick<Ledger, 'file'>;
  private readonly kept = new Map<string, LoadedRole>();
  private bytes = 0;

  constructor(ledger: Pick<Ledger, 'file'>) {
    this.ledger = ledger;
  }

  /** The present file of a role; `undefined` when the ledger has none. @throws StoreError; MetadataError when it is damaged */
  async load(role: string, version: number): Promise<LoadedRole | undefined> {
    const known = this.kept.get(role);
    if (known?.version === version) return known;
    const bytes = await this.ledger.file(role);
    if (bytes === undefined) return undefined;
    const envelope = openEnvelope(bytes, role);
    const content = readTargets(envelope.signed, role);
    this.keep(role, { version: content.version, envelope, content });
    return { version: content.version, envelope, content };
  }

  /** Remembers a role, and forgets the ones remembered longest for it. */
  keep(role: string, loaded: LoadedRole): void {
    this.forget(role);
    this.kept.set(role, loaded);
    this.bytes += loaded.envelope.bytes.length;
    for (const oldest of this.kept.keys()) {
      if (this.bytes <= MAX_BYTES || oldest === role) break;
      this.forget(oldest);
    }
  }

  private forget(role: string): void {
    const known = this.kept.get(role);
    if (known === undefined) return;
    this.kept.delete(role);
    this.bytes -= known.envelope.bytes.length;
  }
}

// Of files; what they are in memory is several times that.
const MAX_BYTES = 16 * 1024 ** 2;
