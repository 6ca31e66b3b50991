import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { fetchAllWithPeer, PEER_NAMES, type PeerAnswer, type ReadyPeer } from '../../tools/peers/peers.mjs';
import { requirePeer } from '../../tools/peers/require-peer.ts';
import { openSite, worldReader } from '../../tools/peers/site.ts';
import { LAYOUTS, type Layout, type Probe } from './layouts.ts';
import { type Outcome, outcomeFor } from './support.ts';

describe.for(PEER_NAMES)('%s', (name) => {
  test.for(LAYOUTS)('$name', async (layout, context) => {
    const peer = requirePeer(name, context);
    for (const consistentSnapshot of [true, false]) {
      const answers = await answersOf(peer, layout, consistentSnapshot);
      const wrong = answers.filter((answered) => !isRight(answered)).map(({ path, answer }) => [path, answer]);
      expect(outcomeOf(answers), JSON.stringify(wrong)).toBe(outcomeFor(name, layout.name));
    }
  });
});

type Answered = Probe & { readonly answer: PeerAnswer };

async function answersOf(peer: ReadyPeer, layout: Layout, consistentSnapshot: boolean): Promise<readonly Answered[]> {
  const { world, probes } = layout.open(consistentSnapshot);
  const site = await openSite(worldReader(world), world.anchor);
  const answers = await fetchAllWithPeer(peer, site.ask(probes.map(({ path }) => path)));
  expect(answers).toHaveLength(probes.length);
  return answers.flatMap((answer, i) => probes.slice(i, i + 1).map((probe) => ({ ...probe, answer })));
}

function outcomeOf(answers: readonly Answered[]): Outcome {
  if (answers.every(isRight)) return 'same';
  return answers.every((answered) => isRight(answered) || !answered.answer.ok) ? 'refuses' : 'differs';
}

function isRight({ want, answer }: Answered): boolean {
  if (want === 'refused') return !answer.ok && answer.error === 'TargetNotFound';
  return answer.ok && answer.sha256 === createHash('sha256').update(want).digest('hex');
}
