// An auditor of the year: has the anchor and what the site serves, nothing
// else. Replays what was added to the decision list since last night, and
// compares what follows from it with every shard that clients are served.

import { canonicalBytes, openEnvelope, readRoot, readShardName, sameBytes } from '@countersign/core';
import { quorumOf, Register, readTile } from '@countersign/decisions';
import { shardDraft } from '../../src/index.ts';
import { ECOSYSTEMS, nodeCrypto, presentOf, sha256, textOf, type World } from '../world.ts';

/** Who replays. */
export class Auditor {
  readonly register: Register;
  private readonly world: World;

  constructor(world: World) {
    this.world = world;
    const root = readRoot(openEnvelope(world.anchor, 'root').signed);
    const quorum = quorumOf(root, Buffer.from(sha256(world.anchor)).toString('hex'));
    this.register = new Register({
      collection: 'main',
      crypto: nodeCrypto,
      quorum: (version) => (version === 1 ? quorum : undefined),
    });
  }

  /** Replays what is new. @throws MetadataError DECISIONS_INVALID */
  catchUp(): Register {
    const targets = presentOf(this.world, 'decisions')?.targets;
    for (let tile = Math.floor(this.register.tip.sequence / 256); ; tile++) {
      const digest = targets?.get(`decisions/${tile}.jsonl`)?.hashes.get('sha256');
      if (digest === undefined) return this.register;
      const bytes = this.world.disk.site.get(`targets/decisions/${digest}.${tile}.jsonl`) ?? new Uint8Array();
      const lines = readTile(textOf(bytes));
      for (const line of lines.slice(Math.max(0, this.register.tip.sequence - tile * 256))) this.register.replay(line);
    }
  }

  /** The shards that do not say what follows from the list: none, if all is well. */
  differences(): readonly string[] {
    const targets = presentOf(this.world, 'targets')?.delegations?.roles ?? [];
    return targets.flatMap(({ name }) => {
      const kind = readShardName(name)?.kind;
      const served = presentOf(this.world, name);
      if (served === undefined || (kind !== 'recent' && kind !== 'claimed')) return [];
      const derived = shardDraft(name, served.version, served.expires, this.register, (ecosystem, name) =>
        ECOSYSTEMS.project(ecosystem, name),
      );
      return sameBytes(canonicalBytes(derived), canonicalBytes(served.json)) ? [] : [name];
    });
  }
}
