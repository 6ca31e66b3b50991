// Two machines that share a collection: a real PostgreSQL, a real S3 server,
// and nodes of the service in this process, each with a folder of its own.

import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findPostgres, startPostgres } from '../../../tools/peers/postgres.ts';
import { requireServer } from '../../../tools/peers/require-peer.ts';
import { findS3Server, S3_KEYS, startS3Server } from '../../../tools/peers/s3-server.ts';
import type { RunningServer } from '../../../tools/peers/servers.ts';

/** Servers of others that a shared collection needs. */
export interface SharedPeers {
  readonly postgres: RunningServer;
  readonly s3: RunningServer;
  readonly keys: typeof S3_KEYS;
  /** A folder that ends with the test. */
  readonly scratch: string;
  close(): Promise<void>;
}

/** Ends the test where one of them is missing. */
export function requireSharedPeers(context: Parameters<typeof requireServer>[1]): void {
  requireServer(findPostgres(), context);
  requireServer(findS3Server(), context);
}

/** Starts them; `undefined` where one is missing. */
export async function startSharedPeers(): Promise<SharedPeers | undefined> {
  const [foundPostgres, foundS3] = [findPostgres(), findS3Server()];
  if (!foundPostgres.available || !foundS3.available) return undefined;
  const postgres = await startPostgres(foundPostgres);
  const s3 = await startS3Server(foundS3);
  const scratch = await mkdtemp(join(tmpdir(), 'countersign-shared-'));
  return {
    postgres,
    s3,
    keys: S3_KEYS,
    scratch,
    async close() {
      await postgres.close();
      await s3.close();
      await rm(scratch, { recursive: true, force: true });
    },
  };
}

/** A second machine's folder: everything but the offline key. */
export async function secondFolder(folder: string, other: string): Promise<string> {
  await cp(folder, other, { recursive: true, filter: (path) => !path.endsWith('offline.pem') });
  return other;
}
