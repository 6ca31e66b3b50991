// Rows on their way into a ledger, many in each transaction: a transaction for
// each of a million files would take the better part of a day.

import type { LedgerRows, WholeLedger } from '../ports.ts';

/** Gathers rows and puts them in some at a time. What is not flushed is not there. */
export class RowBuffer {
  private readonly ledger: Pick<WholeLedger, 'put'>;
  private gathered: Gathered = {};
  private rows = 0;
  private bytes = 0;

  constructor(ledger: Pick<WholeLedger, 'put'>) {
    this.ledger = ledger;
  }

  async add(rows: LedgerRows): Promise<void> {
    for (const [kind, some] of Object.entries(rows) as [keyof LedgerRows, readonly unknown[]][]) {
      const all = this.gathered[kind] ?? [];
      all.push(...some);
      this.gathered[kind] = all;
      this.rows += some.length;
    }
    for (const { bytes } of rows.files ?? []) this.bytes += bytes.length;
    for (const { text } of rows.submissions ?? []) this.bytes += text.length;
    if (this.rows >= MAX_ROWS || this.bytes >= MAX_BYTES) await this.flush();
  }

  async flush(): Promise<void> {
    if (this.rows === 0) return;
    // Each list holds what was given under its name.
    const rows = this.gathered as LedgerRows;
    this.gathered = {};
    this.rows = 0;
    this.bytes = 0;
    await this.ledger.put(rows);
  }
}

type Gathered = { -readonly [K in keyof LedgerRows]?: unknown[] };

const MAX_ROWS = 1_000;
const MAX_BYTES = 8 * 1024 * 1024;
