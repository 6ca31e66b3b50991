// Which peers read which layouts of ours, in the versions that are pinned:
// asserted against the peers themselves by layouts.peer.test.ts, and shown as
// the table in conformance/README.md. What is not listed here is read.

import type { PeerName } from '../../tools/peers/peers.mjs';

/**
 * What a peer makes of a layout: the `same` as we do; `refuses` some or all of
 * what we read, and fetches nothing that we refuse; or `differs`.
 */
export type Outcome = 'same' | 'refuses' | 'differs';

/** How a peer does not read a layout, and why. */
export interface Exception {
  readonly peer: PeerName;
  readonly layout: string;
  readonly outcome: Exclude<Outcome, 'same'>;
  readonly why: string;
}

export const EXCEPTIONS: readonly Exception[] = [
  {
    peer: 'go-tuf',
    layout: 'bins by path hash prefix',
    outcome: 'refuses',
    why: 'this version does not implement `path_hash_prefixes` as §4.5 spells them',
  },
  { peer: 'tough', layout: 'succinct bins (TAP 15)', outcome: 'refuses', why: 'does not implement TAP 15' },
  { peer: 'sigstore-tuf', layout: 'succinct bins (TAP 15)', outcome: 'refuses', why: 'does not implement TAP 15' },
  {
    peer: 'tough',
    layout: '`*` and `?` stand for no `/`',
    outcome: 'differs',
    why: 'reads path patterns in another dialect',
  },
  {
    peer: 'tuf-js',
    layout: '`*` stands for a leading dot',
    outcome: 'refuses',
    why: 'reads path patterns in another dialect',
  },
  {
    peer: 'tough',
    layout: 'files listed outside the paths of their role',
    outcome: 'refuses',
    why: 'refuses the whole repository, where others pass over the file',
  },
  { peer: 'tough', layout: 'files by sha512 alone', outcome: 'refuses', why: 'does not implement sha512' },
];

/** The outcome that is expected of a peer. */
export function outcomeFor(peer: PeerName, layout: string): Outcome {
  return exceptionFor(peer, layout)?.outcome ?? 'same';
}

/** The table of peers and layouts, with reasons as notes, as Markdown. */
export function supportTable(peers: readonly PeerName[], layouts: readonly string[]): string {
  const notes: string[] = [];
  const cell = (peer: PeerName, layout: string): string => {
    const exception = exceptionFor(peer, layout);
    if (exception === undefined) return 'same';
    if (!notes.includes(exception.why)) notes.push(exception.why);
    return `${exception.outcome} (${notes.indexOf(exception.why) + 1})`;
  };
  const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const rows = layouts.map((layout) => row([layout, ...peers.map((peer) => cell(peer, layout))]));
  const head = [row(['layout', ...peers]), row(['---', ...peers.map(() => '---')])];
  return [...head, ...rows, '', ...notes.map((note, i) => `${i + 1}. ${note}`)].join('\n');
}

function exceptionFor(peer: PeerName, layout: string): Exception | undefined {
  return EXCEPTIONS.find((exception) => exception.peer === peer && exception.layout === layout);
}
