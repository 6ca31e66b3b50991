// Which part of a site a power cut cannot take any more. Site files are written
// without waiting for the disk, because the ledger can write them again. In the
// background they are synced, publication by publication, and a durable mark
// says through which. When the machine has started anew since, everything after
// the mark is written again before anybody publishes; the end of a process
// alone takes nothing. Never shows a timestamp that is not the head's.

import { open, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Site } from '../ports.ts';
import { roleFileName, targetNames } from '../site-url.ts';
import { ifMissing, syncFolder, writeDurably } from './files.ts';
import type { KeptBlobs } from './kept-blobs.ts';
import type { SqliteLedger } from './sqlite-ledger.ts';

/** What the keeper needs of the machine that it runs on. */
export interface Machine {
  /** Different each time the machine starts; `undefined` where it cannot be told. */
  readonly boot: () => Promise<string | undefined>;
  readonly syncFile: (path: string) => Promise<void>;
  readonly syncFolder: (path: string) => Promise<void>;
  /** Calls back once; gives the function that stops it. */
  readonly later: (millis: number, act: () => void) => () => void;
}

/** The machine we run on. */
export const thisMachine: Machine = {
  boot: async () =>
    await readFile('/proc/sys/kernel/random/boot_id', 'utf8').then(
      (text) => text.trim(),
      () => undefined, // not Linux
    ),
  syncFile: async (path) => {
    const handle = await open(path, 'r+');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  },
  syncFolder,
  later: (millis, act) => {
    const timer = setTimeout(act, millis).unref();
    return () => clearTimeout(timer);
  },
};

/** Keeps the site of one collection. */
export class SiteKeeper {
  private readonly folder: string;
  private readonly markFile: string;
  private readonly site: Site;
  private readonly blobs: KeptBlobs;
  private readonly ledger: SqliteLedger;
  private readonly machine: Machine;
  /** The last publication that is durable in the site; `undefined` until we publish. */
  private through: number | undefined;
  private cancel: (() => void) | undefined;
  private running: Promise<void> | undefined;
  private closed = false;

  /** @param markFile outside the site, whose folder it must not be in */
  constructor(
    folder: string,
    markFile: string,
    of: {
      readonly site: Site;
      readonly blobs: KeptBlobs;
      readonly ledger: SqliteLedger;
      readonly machine: Machine;
    },
  ) {
    this.folder = folder;
    this.markFile = markFile;
    this.site = of.site;
    this.blobs = of.blobs;
    this.ledger = of.ledger;
    this.machine = of.machine;
  }

  /**
   * Makes the site right if the machine has started anew. To be called before anything is published.
   *
   * @throws StoreError STORE_READ, STORE_WRITE
   */
  async begin(): Promise<void> {
    const head = (await this.ledger.head())?.publication ?? 0;
    const mark = await this.readMark();
    // A ledger that was put back to before the mark makes other publications with those numbers.
    const through = Math.min(mark.through, head);
    const boot = await this.machine.boot();
    const anew = boot === undefined || boot !== mark.boot;
    if (anew) await this.blobs.mend();
    if (anew && through < head) {
      await this.showAgain(through + 1, head);
      const { files } = await this.ledger.made(head);
      await this.site.showFiles(files.filter(isTimestamp));
    }
    if (boot !== mark.boot || through !== mark.through) await this.writeMark(through);
    this.through = through;
    this.wake();
  }

  /** To be called when something was shown: makes it durable soon. */
  wake(): void {
    if (this.closed || this.through === undefined || this.cancel !== undefined) return;
    this.cancel = this.machine.later(SETTLE_MILLIS, () => {
      this.cancel = undefined;
      // What cannot be synced is tried again after the next publication.
      this.running ??= this.settle().catch(() => undefined);
      void this.running.finally(() => {
        this.running = undefined;
      });
    });
  }

  /** Resolves when nothing is being synced. */
  async settled(): Promise<void> {
    await this.running;
  }

  /** Stops. What is not synced then is synced by the next process, or written again by it. */
  async close(): Promise<void> {
    this.closed = true;
    this.cancel?.();
    await this.running;
  }

  private async settle(): Promise<void> {
    const shown = await this.shown();
    // The site's targets are names of blobs.
    await this.blobs.settle(() => this.closed);
    while (!this.closed && this.through !== undefined && this.through < shown) {
      const from = this.through + 1;
      const paths = new Set([join(this.folder, 'metadata', 'timestamp.json')]);
      let to = this.through;
      // Small publications share the syncs of their folders and of the mark.
      while (to < shown && paths.size < SYNCED_TOGETHER) this.addPaths(paths, ++to);
      try {
        await this.sync(paths);
      } catch (error) {
        // The system may have dropped what it could not write, and say nothing the next time.
        await this.showAgain(from, to);
        throw error;
      }
      if (this.closed) return;
      await this.writeMark(to);
      this.through = to;
    }
  }

  /** The last publication that the site shows whole. */
  private async shown(): Promise<number> {
    const head = await this.ledger.head();
    const timestamp = await this.ledger.file('timestamp');
    const visible = await this.site.shownTimestamp();
    const whole = timestamp !== undefined && visible !== undefined && Buffer.compare(timestamp, visible) === 0;
    return whole && head !== undefined ? head.publication : 0;
  }

  private addPaths(paths: Set<string>, publication: number): void {
    const { files, targets } = this.ledger.namesMade(publication);
    for (const { role, version } of files) {
      if (role !== 'timestamp') paths.add(join(this.folder, roleFileName(role, version)));
    }
    for (const { path, blob } of targets) {
      for (const name of targetNames(path, blob)) paths.add(join(this.folder, name));
    }
  }

  private async sync(paths: ReadonlySet<string>): Promise<void> {
    const folders = new Set<string>();
    const files: string[] = [];
    for (const path of paths) {
      for (let above = dirname(path); above.length >= this.folder.length; above = dirname(above)) folders.add(above);
      // Targets are names of blobs, which are durable by now.
      if (!path.startsWith(join(this.folder, 'targets'))) files.push(path);
    }
    for (let at = 0; at < files.length && !this.closed; at += AT_ONCE) {
      const some = files.slice(at, at + AT_ONCE);
      await Promise.all(some.map((path) => this.machine.syncFile(path).catch(ifMissing))); // removed since
    }
    for (const folder of folders) {
      if (!this.closed) await this.machine.syncFolder(folder).catch(ifMissing);
    }
  }

  /** Writes publications again, but no timestamp: one that is not the head's would take clients back. */
  private async showAgain(from: number, to: number): Promise<void> {
    for (let publication = from; publication <= to; publication++) {
      const { files, targets } = await this.ledger.made(publication);
      await this.site.showTargets(targets);
      await this.site.showFiles(files.filter((file) => !isTimestamp(file)));
    }
  }

  private async readMark(): Promise<{ readonly boot: string | undefined; readonly through: number }> {
    const text = await readFile(this.markFile, 'utf8').catch(() => ''); // the first time: everything is written
    const [, boot, through] = /^(.*) (\d+)\n$/.exec(text) ?? [];
    return { boot, through: Number(through ?? 0) };
  }

  private async writeMark(through: number): Promise<void> {
    await writeDurably(this.markFile, Buffer.from(`${(await this.machine.boot()) ?? ''} ${through}\n`));
  }
}

function isTimestamp({ role }: { readonly role: string }): boolean {
  return role === 'timestamp';
}

// By then the system has written most of it without being asked.
const SETTLE_MILLIS = 30_000;
const SYNCED_TOGETHER = 4_096;
const AT_ONCE = 2; // the foreground needs the disk more
