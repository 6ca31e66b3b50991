// Writes that come in the same turn are made together, so that they wait for
// the disk once. Each caller waits until its own is durable.

/** Collects items and writes them together. */
export class Batch<T> {
  private readonly write: (items: readonly T[]) => void | Promise<void>;
  private readonly others: () => Promise<unknown>;
  private gathering: { readonly items: T[]; readonly written: Promise<void> } | undefined;

  /** @param others resolves when those are here that are worth waiting for; unless told, who comes in the same turn */
  constructor(write: (items: readonly T[]) => void | Promise<void>, others: () => Promise<unknown> = endOfTurn) {
    this.write = write;
    this.others = others;
  }

  /** Resolves when the item is written. @throws what writing throws */
  async add(item: T): Promise<void> {
    this.gathering ??= this.gather();
    this.gathering.items.push(item);
    await this.gathering.written;
  }

  /** Resolves when what was added so far is written, or has failed. */
  async settled(): Promise<void> {
    await this.gathering?.written.catch(() => undefined); // told to those who added
  }

  private gather(): NonNullable<Batch<T>['gathering']> {
    const items: T[] = [];
    const written = this.others().then(async () => {
      this.gathering = undefined;
      await this.write(items);
    });
    return { items, written };
  }
}

async function endOfTurn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}
