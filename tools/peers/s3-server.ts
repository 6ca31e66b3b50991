// A real S3 server with conditional writes: versitygw over a folder, built from
// its Go module once and kept in the user's cache.

import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder } from './peers.mjs';
import { type FoundServer, type RunningServer, runToEnd, startServer } from './servers.ts';

/** Who may use the server that {@link startS3Server} starts. */
export const S3_KEYS = { accessKeyId: 'countersign', secretAccessKey: 'countersign-secret' } as const;

/** Finds the S3 server, without building anything. */
export function findS3Server(): FoundServer {
  return existsSync(join(FOLDER, PROGRAM))
    ? { available: true, name: NAME, folder: FOLDER }
    : { available: false, name: NAME, why: 'it is not built' };
}

/** Builds the S3 server where it is missing. Takes minutes the first time. */
export async function ensureS3Server(say: (line: string) => void): Promise<FoundServer> {
  const found = findS3Server();
  if (found.available) return found;
  const partial = `${FOLDER}.partial-${process.pid}`;
  try {
    say(`peer ${NAME}: building, which takes some minutes`);
    mkdirSync(partial, { recursive: true });
    await runToEnd('go', ['install', '-ldflags=-s -w', `github.com/versity/versitygw/cmd/versitygw@${VERSION}`], {
      env: { GOBIN: partial, GOFLAGS: '-mod=mod' },
    });
    if (!existsSync(FOLDER)) renameSync(partial, FOLDER);
    return findS3Server();
  } catch (error) {
    return { available: false, name: NAME, why: error instanceof Error ? error.message : String(error) };
  } finally {
    rmSync(partial, { recursive: true, force: true });
  }
}

/** Starts the server with one empty bucket, named `bucket`. */
export async function startS3Server({ folder }: { readonly folder: string }): Promise<RunningServer> {
  return await startServer(
    {
      command: join(folder, PROGRAM),
      args: (port, data) => ['--port', `127.0.0.1:${port}`, '--quiet', '--keep-alive', 'posix', join(data, 'objects')],
      env: { ROOT_ACCESS_KEY_ID: S3_KEYS.accessKeyId, ROOT_SECRET_ACCESS_KEY: S3_KEYS.secretAccessKey },
      signal: 'SIGKILL',
      url: (port) => `http://127.0.0.1:${port}`,
      ready: async (url) =>
        await fetch(url).then(
          () => true,
          () => false,
        ),
    },
    async (data) => {
      mkdirSync(join(data, 'objects', 'bucket'), { recursive: true });
    },
  );
}

const NAME = 'versitygw';
const VERSION = 'v1.8.0';
const FOLDER = join(cacheFolder(), `${NAME}-${VERSION}`);
const PROGRAM = process.platform === 'win32' ? 'versitygw.exe' : 'versitygw';
