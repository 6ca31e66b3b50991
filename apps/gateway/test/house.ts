// A gateway over a world in memory: real HTTP on loopback on one side, the
// testkit's world as the mirror on the other. For tests only.

import { mkdtemp, rm } from 'node:fs/promises';
import { type IncomingHttpHeaders, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ecosystemOf } from '@countersign/ecosystems';
import { MemoryFiles, openClient, registryWorld, type World } from '@countersign/testkit';
import { type Gateway, type GatewayEvent, type GatewayOptions, startGateway } from '../src/index.ts';

/** An answer as it came over the wire. */
export interface Heard {
  readonly status: number;
  readonly reason: string;
  readonly headers: IncomingHttpHeaders;
  readonly bytes: Buffer;
  /** The body's JSON; `undefined` when it is none. */
  readonly json: unknown;
  /** The X-TUF-Error header. */
  readonly code: string | undefined;
}

/** One user's gateway, over time. */
export class House {
  readonly world: World;
  readonly folder: string;
  readonly state = new MemoryFiles();
  readonly events: GatewayEvent[] = [];
  #gateway: Gateway | undefined;
  readonly #options: Partial<GatewayOptions>;

  private constructor(world: World, folder: string, options: Partial<GatewayOptions>) {
    this.world = world;
    this.folder = folder;
    this.#options = options;
  }

  static async build(world: World, options: Partial<GatewayOptions> = {}): Promise<House> {
    return new House(world, await mkdtemp(join(tmpdir(), 'countersign-gateway-')), options);
  }

  /** The running gateway; started when it is not. */
  async gateway(): Promise<Gateway> {
    this.#gateway ??= await startGateway({
      client: await openClient(this.world, this.state),
      stateFolder: this.folder,
      clock: () => this.world.now,
      refreshSeconds: 0,
      log: (event) => this.events.push(event),
      ...this.#options,
    });
    return this.#gateway;
  }

  /** The process ends; what was kept stays. */
  async stop(): Promise<void> {
    await this.#gateway?.close();
    this.#gateway = undefined;
  }

  async tearDown(): Promise<void> {
    await this.stop();
    await rm(this.folder, { recursive: true, force: true });
  }

  async ask(
    path: string,
    options: { readonly method?: string; readonly headers?: Readonly<Record<string, string>> } = {},
  ): Promise<Heard> {
    const { port } = await this.gateway();
    return await new Promise((resolve, reject) => {
      const sent = request({ host: '127.0.0.1', port, path, agent: false, ...options }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const bytes = Buffer.concat(chunks);
          const { statusCode = 0, statusMessage = '', headers } = response;
          const code = headers['x-tuf-error'];
          resolve({
            status: statusCode,
            reason: statusMessage,
            headers,
            bytes,
            json: jsonIn(bytes),
            code: typeof code === 'string' ? code : undefined,
          });
        });
      });
      sent.on('error', reject);
      sent.end();
    });
  }
}

/** The registry world, with index entries as the author tool derives them. */
export async function honestWorld(): Promise<World> {
  const world = registryWorld();
  for (const { targets } of world.roles.values()) {
    for (const [path, target] of targets) {
      const { custom } = await ecosystemOf('npm').inspect(world.content(path));
      target.custom = custom;
    }
  }
  world.publish();
  return world;
}

function jsonIn(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}
