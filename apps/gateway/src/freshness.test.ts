// How long a request waits for an update, and who shares one: on a client
// whose mirror answers when the test says so.

import { Client, type Transport } from '@countersign/client';
import { nodeCrypto } from '@countersign/client/node';
import { MemoryFiles, openClient, registryWorld, type World } from '@countersign/testkit';
import { describe, expect, it } from 'vitest';
import { Freshness } from './freshness.ts';
import type { GatewayEvent } from './log.ts';

/** A transport in front of a world that holds back its answers while the gate is shut. */
class SlowWorld {
  readonly world: World = registryWorld();
  #gate: Promise<void> = Promise.resolve();
  #open: () => void = () => {};

  readonly transport: Transport = {
    get: async (url, request) => {
      await this.#gate;
      return await this.world.transport.get(url, request);
    },
  };

  shut(): void {
    this.#gate = new Promise((resolve) => {
      this.#open = resolve;
    });
  }

  open(): void {
    this.#open();
  }

  async client(): Promise<Client> {
    const { metadataUrl, targetsUrl, anchor } = this.world;
    return await Client.open({
      metadataUrl,
      targetsUrl,
      transport: this.transport,
      state: new MemoryFiles(),
      crypto: nodeCrypto,
      clock: () => this.world.now,
      ...(anchor && { anchor }),
    });
  }

  timestamps(): number {
    return this.world.takeRequests().filter((url) => url === 'metadata/timestamp.json').length;
  }
}

async function freshnessOf(
  slow: SlowWorld,
  patience = { usual: 60_000, inOutage: 0 },
): Promise<{ freshness: Freshness; events: GatewayEvent[] }> {
  const events: GatewayEvent[] = [];
  const { world } = slow;
  const freshness = new Freshness({
    client: await slow.client(),
    clock: () => world.now,
    recent: 5_000,
    log: (event) => events.push(event),
    patience,
  });
  return { freshness, events };
}

describe('Freshness', () => {
  it('requests at the same time share one update', async () => {
    const slow = new SlowWorld();
    const { freshness, events } = await freshnessOf(slow);
    await Promise.all([freshness.current(), freshness.current(), freshness.current()]);
    expect(slow.timestamps()).toBe(1);
    expect(events).toEqual([{ event: 'fresh', timestamp: 1, snapshot: 1 }]);
  });

  it('a question that a running update may have missed gets one more, and shares that', async () => {
    const slow = new SlowWorld();
    const { freshness } = await freshnessOf(slow);
    slow.shut();
    const running = freshness.current();
    const asked = [freshness.anew(), freshness.anew(), freshness.anew()];
    slow.open();
    await Promise.all([running, ...asked]);
    expect(slow.timestamps()).toBe(2);
    await freshness.anew();
    expect(slow.timestamps()).toBe(1);
  });

  it('a mirror that hangs does not hold up what is verified, nor does it prove anything', async () => {
    const slow = new SlowWorld();
    const { freshness } = await freshnessOf(slow, { usual: 5, inOutage: 0 });
    await freshness.current();
    slow.world.pass(5_000);
    slow.shut();
    await freshness.current(); // patience ends
    let proven = false;
    const proof = freshness.anew().then(() => {
      proven = true;
    });
    await freshness.current();
    expect(proven).toBe(false);
    slow.open();
    await proof;
    expect(freshness.standing).toEqual({ state: 'fresh' });
  });

  it('with nothing unexpired to answer from, patience has no end', async () => {
    const slow = new SlowWorld();
    const { freshness } = await freshnessOf(slow, { usual: 0, inOutage: 0 });
    slow.shut();
    let done = false;
    const current = freshness.current().then(() => {
      done = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(done).toBe(false);
    slow.open();
    await current;
  });

  it('a clock that stepped back makes nothing recent', async () => {
    const slow = new SlowWorld();
    const { freshness } = await freshnessOf(slow);
    await freshness.current();
    slow.timestamps();
    slow.world.now -= 1;
    await freshness.current();
    expect(slow.timestamps()).toBe(1);
  });

  it('state that cannot be written closes the gateway, and is tried again at once', async () => {
    const { world } = new SlowWorld();
    const files = new MemoryFiles();
    const client = await openClient(world, files);
    const freshness = new Freshness({ client, clock: () => world.now, recent: 5_000, log: () => {} });
    const save = files.save.bind(files);
    files.save = () => {
      throw new TypeError('no space');
    };
    await expect(freshness.current()).rejects.toThrow('no space');
    expect(freshness.standing.state).toBe('broken');
    files.save = save;
    await freshness.current();
    expect(freshness.standing.state).toBe('fresh');
  });
});
