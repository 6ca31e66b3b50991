// An auditor of the year: has the anchor and what the site serves, nothing
// else. Follows the roots, replays what was added to the decision list since
// last night, and compares what follows with every shard that is served.

import {
  canonicalBytes,
  driveCrypto,
  openEnvelope,
  type Root,
  readRoot,
  readShardName,
  sameBytes,
  topLevelAuthority,
  verify,
} from '@countersign/core';
import { type Quorum, quorumOf, Register, readTile } from '@countersign/decisions';
import { shardDraft } from '../../src/index.ts';
import { ECOSYSTEMS, nodeCrypto, presentOf, sha256, textOf, type World } from '../world.ts';

/** Who replays. */
export class Auditor {
  readonly register: Register;
  private readonly world: World;
  private root: Root;
  private readonly quorums = new Map<number, Quorum>();

  constructor(world: World) {
    this.world = world;
    this.root = readRoot(openEnvelope(world.anchor, 'root').signed);
    this.quorums.set(1, quorumOf(this.root, Buffer.from(sha256(world.anchor)).toString('hex')));
    this.register = new Register({
      collection: 'main',
      crypto: nodeCrypto,
      quorum: (version) => this.quorums.get(version),
    });
  }

  /** The version of the last root. */
  get rootVersion(): number {
    return this.root.version;
  }

  /** Replays what is new. @throws MetadataError DECISIONS_INVALID, THRESHOLD_NOT_MET */
  catchUp(): Register {
    this.followRoots();
    const targets = presentOf(this.world, 'decisions')?.targets;
    for (let tile = Math.floor(this.register.tip.sequence / 256); ; tile++) {
      const digest = targets?.get(`decisions/${tile}.jsonl`)?.hashes.get('sha256');
      if (digest === undefined) return this.register;
      const bytes = this.world.disk.site.get(`targets/decisions/${digest}.${tile}.jsonl`) ?? new Uint8Array();
      const lines = readTile(textOf(bytes));
      for (const line of lines.slice(Math.max(0, this.register.tip.sequence - tile * 256))) this.register.replay(line);
    }
  }

  /** Each root is signed by the one before it and by itself (§5.3.4). */
  private followRoots(): void {
    for (;;) {
      const bytes = this.world.disk.site.get(`metadata/${this.root.version + 1}.root.json`);
      if (bytes === undefined) return;
      const envelope = openEnvelope(bytes, 'root');
      const next = readRoot(envelope.signed);
      const authorities = [topLevelAuthority(this.root, 'root'), topLevelAuthority(next, 'root')] as const;
      this.root = driveCrypto(
        verify(envelope, authorities, () => next),
        nodeCrypto,
      ).content;
      this.quorums.set(next.version, quorumOf(next, Buffer.from(sha256(bytes)).toString('hex')));
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
