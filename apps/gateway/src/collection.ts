// What the collection answers about a name, right now: it covers the name, it
// has hidden a name it once covered, or it does not know it. The difference
// between the last two is this gateway's own memory, kept before it answers.
// A "no" is only ever given after an update that began with the question.

import type { Client } from '@countersign/client';
import { type Found, type Instant, type Listing, MetadataError } from '@countersign/core';
import { speakerOf } from './continuity.ts';
import type { Freshness } from './freshness.ts';
import type { KnownOwners, OwnerChange, OwnerPolicy } from './known-owners.ts';

/** A name that no role speaks for, by fresh metadata, and none ever did to this gateway's knowledge. */
export interface Unlisted {
  readonly unlisted: true;
  /** `false` when hash bins were passed by, so that absence is not proven. */
  readonly complete: boolean;
}

/** What a collection is judged with. */
export interface CollectionOptions {
  readonly client: Client;
  readonly freshness: Freshness;
  readonly known: KnownOwners;
  readonly owners: OwnerPolicy;
  readonly clock: () => Instant;
  /** Told of owners who were not appointed by the ones before them. */
  readonly onChange: (change: OwnerChange) => void;
}

/** The collection behind the gateway. */
export class Collection {
  readonly client: Client;
  readonly freshness: Freshness;
  readonly #options: CollectionOptions;
  /** Changes that answers about a directory are to carry. */
  readonly #changes = new Map<string, OwnerChange>();

  constructor(options: CollectionOptions) {
    this.client = options.client;
    this.freshness = options.freshness;
    this.#options = options;
  }

  /** What users of a directory should be told about its owners, as last judged. */
  changeOf(directory: string): OwnerChange | undefined {
    return this.#changes.get(directory);
  }

  /**
   * The files of a directory, or that the collection does not know it.
   *
   * @throws MetadataError NAME_HIDDEN, OWNER_CHANGED, and of a refused update or role
   * @throws TransportError when that cannot be told now
   */
  async list(directory: string): Promise<Listing | Unlisted> {
    await this.freshness.current();
    const first = await this.client.list(directory);
    if (covers(first)) return await this.#metIn(directory, first);
    await this.freshness.anew();
    return await this.#judge(directory);
  }

  /**
   * A file, or that the collection does not know its directory.
   *
   * @throws MetadataError TARGET_UNKNOWN when the directory is covered and the file is not there; else as {@link list}
   */
  async find(path: string): Promise<Found | Unlisted> {
    await this.freshness.current();
    const directory = path.slice(0, Math.max(0, path.lastIndexOf('/')));
    const first = await this.client.find(path);
    if (first !== undefined) return await this.#metAt(directory, first);
    await this.freshness.anew();
    const second = await this.client.find(path);
    if (second !== undefined) return await this.#metAt(directory, second);
    const listing = directory === '' ? NOTHING : await this.#judge(directory);
    // Where absence is not provable by listing, the search for this one path was exact all the same.
    if ('unlisted' in listing && listing.complete) return listing;
    throw new MetadataError('TARGET_UNKNOWN', `Looking for ${path}: no trusted role lists it`, { detail: { path } });
  }

  /** What is to be said of a directory on the present, fresh state. */
  async #judge(directory: string): Promise<Listing | Unlisted> {
    const listing = await this.client.list(directory);
    if (covers(listing)) return await this.#metIn(directory, listing);
    if (this.#options.known.has(directory)) {
      throw new MetadataError('NAME_HIDDEN', `Looking for ${directory}: it was listed before, and is not any more`, {
        detail: { directory },
      });
    }
    return { unlisted: true, complete: listing.complete };
  }

  async #metIn(directory: string, listing: Listing): Promise<Listing> {
    const [owner] = listing.owners;
    const [file] = listing.found.values();
    await this.#meet(directory, owner?.trail ?? file?.trail ?? []);
    return listing;
  }

  async #metAt(directory: string, found: Found): Promise<Found> {
    if (directory !== '') await this.#meet(directory, found.trail);
    return found;
  }

  /** Remembers who speaks for a directory before anything relies on it. */
  async #meet(directory: string, trail: readonly string[]): Promise<void> {
    const { known, owners, clock, onChange } = this.#options;
    const change = await known.meet(directory, speakerOf(trail, this.client.trusted), owners, clock());
    const told = this.#changes.get(directory);
    if (change === undefined) this.#changes.delete(directory);
    else this.#changes.set(directory, change);
    if (change !== undefined && change.now.epoch !== told?.now.epoch) onChange(change);
  }
}

function covers({ owners, found }: Listing): boolean {
  return owners.length > 0 || found.size > 0;
}

const NOTHING: Unlisted = { unlisted: true, complete: false };
