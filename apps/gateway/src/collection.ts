// What the collection answers about a name, right now: it covers the name, it
// has hidden a name it once covered, or it does not know it. The difference
// between the last two is this gateway's own memory, kept before it answers.
// A "no" is only ever given after an update that began with the question.

import type { Client } from '@countersign/client';
import { type Found, type Listing, MetadataError } from '@countersign/core';
import type { Freshness } from './freshness.ts';
import type { SeenNames } from './seen-names.ts';

/** A name that no role speaks for, by fresh metadata, and none ever did to this gateway's knowledge. */
export interface Unlisted {
  readonly unlisted: true;
  /** `false` when hash bins were passed by, so that absence is not proven. */
  readonly complete: boolean;
}

/** The collection behind the gateway. */
export class Collection {
  readonly client: Client;
  readonly freshness: Freshness;
  readonly #seen: SeenNames;

  constructor(client: Client, freshness: Freshness, seen: SeenNames) {
    this.client = client;
    this.freshness = freshness;
    this.#seen = seen;
  }

  /**
   * The files of a directory, or that the collection does not know it.
   *
   * @throws MetadataError NAME_HIDDEN, and of a refused update or role
   * @throws TransportError when that cannot be told now
   */
  async list(directory: string): Promise<Listing | Unlisted> {
    await this.freshness.current();
    const first = await this.client.list(directory);
    if (covers(first)) return await this.#remembered(directory, first);
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
    if (first !== undefined) return await this.#remembered(directory, first);
    await this.freshness.anew();
    const second = await this.client.find(path);
    if (second !== undefined) return await this.#remembered(directory, second);
    const listing = directory === '' ? NOTHING : await this.#judge(directory);
    // Where absence is not provable by listing, the search for this one path was exact all the same.
    if ('unlisted' in listing && listing.complete) return listing;
    throw new MetadataError('TARGET_UNKNOWN', `Looking for ${path}: no trusted role lists it`, { detail: { path } });
  }

  /** What is to be said of a directory on the present, fresh state. */
  async #judge(directory: string): Promise<Listing | Unlisted> {
    const listing = await this.client.list(directory);
    if (covers(listing)) return await this.#remembered(directory, listing);
    if (this.#seen.has(directory)) {
      throw new MetadataError('NAME_HIDDEN', `Looking for ${directory}: it was listed before, and is not any more`, {
        detail: { directory },
      });
    }
    return { unlisted: true, complete: listing.complete };
  }

  async #remembered<T>(directory: string, answer: T): Promise<T> {
    if (directory !== '') await this.#seen.add(directory);
    return answer;
  }
}

function covers({ owners, found }: Listing): boolean {
  return owners.length > 0 || found.size > 0;
}

const NOTHING: Unlisted = { unlisted: true, complete: false };
