// A real service on a free port over a collection in a temporary folder, and
// the plain requests that tests send to it: paths go out exactly as written.

import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { type IncomingHttpHeaders, type OutgoingHttpHeaders, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sha256 } from '@countersign/client/node';
import {
  days,
  editTargets,
  openEnvelope,
  ownerRoleName,
  projectDirectory,
  readTargets,
  type Signer,
  signFile,
  type TargetFile,
  utf8,
  utf8Text,
} from '@countersign/core';
import { projectOf } from '@countersign/ecosystems';
import { type RepositoryLimits, signClaim, submissionText } from '@countersign/repository';
import {
  createCollectionFolder,
  type OpenCollection,
  openCollectionFolder,
  type Server,
  type ServerEvent,
  startServer,
} from '../src/index.ts';

/** Where the clock of the tests stands. */
export const NOW = Date.UTC(2030, 0, 1);

export interface Service {
  readonly folder: string;
  readonly server: Server;
  readonly collection: OpenCollection;
  readonly anchor: Uint8Array;
  readonly token: string;
  readonly events: ServerEvent[];
  stop(): Promise<void>;
}

export async function startService(
  limits: Partial<RepositoryLimits> = {},
  clock = (): number => NOW,
): Promise<Service> {
  const scratch = await mkdtemp(join(tmpdir(), 'countersign-server-'));
  const folder = join(scratch, 'collection');
  const passphrases = async (): Promise<string> => 'only for this test';
  const { anchor, token } = await createCollectionFolder({ folder, name: 'main', passphrases, clock });
  const collection = await openCollectionFolder({ folder, name: 'main', passphrases, clock, limits });
  const events: ServerEvent[] = [];
  const log = (event: ServerEvent): void => void events.push(event);
  const server = await startServer({ collections: [collection], port: 0, renewEvery: 0, log, clock });
  return {
    folder,
    server,
    collection,
    anchor,
    token,
    events,
    async stop() {
      await server.close();
      await rm(scratch, { recursive: true, force: true });
    },
  };
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly bytes: Buffer;
  readonly text: string;
  /** The body as JSON; `undefined` if it is none. */
  readonly json: Readonly<Record<string, unknown>> | undefined;
}

export interface Question {
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: string | Uint8Array | AsyncIterable<Uint8Array>;
}

/** One request. The path is not normalised. */
export async function ask(
  { port }: Pick<Server, 'port'>,
  method: string,
  path: string,
  { headers = {}, body }: Question = {},
): Promise<Answer> {
  return await new Promise((resolve, reject) => {
    const outgoing = request({ host: '127.0.0.1', port, method, path, headers, agent: false }, (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
      incoming.on('error', reject);
      incoming.on('end', () => {
        const bytes = Buffer.concat(chunks);
        const text = bytes.toString();
        resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, bytes, text, json: jsonOf(text) });
      });
    });
    outgoing.on('error', reject);
    void send(outgoing, body);
  });
}

async function send(outgoing: ReturnType<typeof request>, body: Question['body']): Promise<void> {
  if (body === undefined || typeof body === 'string' || body instanceof Uint8Array) {
    outgoing.end(body);
    return;
  }
  for await (const chunk of body) {
    if (outgoing.destroyed) return;
    if (!outgoing.write(chunk)) await new Promise((resolve) => outgoing.once('drain', resolve));
  }
  outgoing.end();
}

function jsonOf(text: string): Answer['json'] {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A project of plain files with one key. */
export class Author {
  readonly project;
  readonly role: string;
  readonly directory: string;
  readonly signer: Signer;
  private present: ReturnType<typeof readTargets> | undefined;

  private readonly collection: string;

  constructor(name: string, signer: Signer, collection = 'main') {
    this.collection = collection;
    this.project = projectOf(`files/${name}`);
    this.role = ownerRoleName(this.project, 1);
    this.directory = projectDirectory(this.project, sha256);
    this.signer = signer;
  }

  /** The submission of the next version with this file in it; with the claim when it is the first. */
  async next(target: TargetFile): Promise<string> {
    const draft = editTargets(this.present, { expires: NOW + days(3650), set: [target] });
    const file = utf8Text(await signFile(draft, [this.signer])) ?? '';
    const decisions = this.present === undefined ? [await signClaim(this.collection, this.project, [this.signer])] : [];
    this.present = readTargets(openEnvelope(utf8(file), this.role).signed, this.role);
    return submissionText({ roles: [{ role: this.role, file }], decisions });
  }

  target(file: string, content: Uint8Array): TargetFile {
    const hashes = new Map(['sha256', 'sha512'].map((name) => [name, digestOf(name, content)]));
    return { path: `${this.directory}/${file}`, length: content.length, hashes, custom: undefined };
  }
}

export function digestOf(algorithm: string, content: Uint8Array | string): string {
  return createHash(algorithm).update(content).digest('hex');
}
