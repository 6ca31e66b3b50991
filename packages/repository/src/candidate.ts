// Standing for election: one process at a time has the ledger's lead, and asks
// for it again and again while another one has it. What it may do is decided by
// the head alone; this only keeps processes from working against each other.

import type { Leadership, Ledger } from './ports.ts';

/** What becomes of the lead. */
export interface Mandate {
  /** Begins to publish. What it throws gives the lead back. */
  readonly elected: () => Promise<void>;
  /** Somebody else may publish from now on. */
  readonly deposed: () => void;
  readonly report: (error: unknown) => void;
}

/** One process that wants to publish. */
export class Candidate {
  private readonly ledger: Pick<Ledger, 'lead'>;
  private readonly mandate: Mandate;
  private leadership: Leadership | undefined;
  private standing: Promise<void> | undefined;
  private closed = false;

  constructor(ledger: Pick<Ledger, 'lead'>, mandate: Mandate) {
    this.ledger = ledger;
    this.mandate = mandate;
  }

  /** Asks for the lead, unless it has it. */
  async stand(): Promise<void> {
    if (this.closed || this.leadership !== undefined) return;
    this.standing ??= this.ask().finally(() => {
      this.standing = undefined;
    });
    await this.standing;
  }

  /** Asks from time to time, until it is closed. */
  async standAgain(pause: () => Promise<void>): Promise<void> {
    while (!this.closed) {
      await pause();
      await this.stand();
    }
  }

  /** Gives the lead back, and stands no more. */
  async close(): Promise<void> {
    this.closed = true;
    await this.standing;
    await this.leadership?.release();
    this.leadership = undefined;
  }

  private async ask(): Promise<void> {
    try {
      const leadership = await this.ledger.lead();
      if (leadership === undefined) return;
      this.leadership = leadership;
      void leadership.lost.then(() => {
        if (this.leadership !== leadership) return;
        this.leadership = undefined;
        this.mandate.deposed();
      });
      await this.mandate.elected();
    } catch (error) {
      // Somebody else may fare better.
      this.mandate.report(error);
      this.mandate.deposed();
      await this.leadership?.release();
      this.leadership = undefined;
    }
  }
}
