// `countersign init`: a collection with its root, its offline key and its
// separate online keys.

import { UsageError } from '@countersign/core';
import type { Context } from '../context.ts';
import { binBits } from '../layout-options.ts';
import { type MadeCollection, makeCollection, makeState, type NewLayout } from '../local-collections.ts';
import { columns } from '../output.ts';
import { type Shell, shownPath } from '../shell.ts';

/** What `init` may be told. */
export interface InitOptions {
  readonly dev?: boolean;
  readonly layout: string;
  readonly bins?: string;
  readonly shardDigits?: string;
}

/** Creates a collection. @throws UsageError COLLECTION_EXISTS, USAGE_INVALID; SignerError KEY_LOCKED; StoreError */
export async function init(
  { shell, config, output, suggest }: Context,
  name: string,
  options: InitOptions,
): Promise<void> {
  const layout = layoutOf(options);
  await makeState(config);
  const progress = output.progress(`Creating ${name}`);
  const mode = options.dev ? 'development' : 'choose';
  const made = await makeCollection({ shell, config }, name, mode, layout);
  progress.end();
  // Other commands must be told of any other name than the one they go by.
  const of = config.collection === name ? '' : ` --collection ${name}`;
  output.result({ ...made, passphraseFolder: made.passphraseFolder ?? null }, [
    ...madeLines(made, shell),
    ...('bins' in layout ? ['It is a plain collection of files, without names or owners.'] : []),
    '',
    'Next:',
    `  ${suggest('serve')}`,
    ...('bins' in layout
      ? [
          `  ${suggest('import <folder>')}${of}   for many files, before it is served`,
          `  ${suggest('upload <files>')}${of}   while it is served`,
        ]
      : []),
  ]);
}

/** The layout that the options ask for. @throws UsageError USAGE_INVALID */
function layoutOf({ layout, bins, shardDigits }: InitOptions): NewLayout {
  const names = layout === 'registry';
  const [foreign, value] = names ? ['--bins', bins] : ['--shard-digits', shardDigits];
  if (value !== undefined) throw invalid(`${foreign} is not for --layout ${layout}`);
  const form = layout === 'succinct' ? 'succinct' : 'classic';
  if (!names) return { bins: { bitLength: binBits(bins ?? '256', form), form } };
  const digits = shardDigits ?? '1';
  if (!/^[0-4]$/.test(digits)) throw invalid('--shard-digits must be 0 to 4');
  return { shardDigits: Number(digits) };
}

function invalid(problem: string): UsageError {
  return new UsageError('USAGE_INVALID', `Creating the collection: ${problem}`);
}

/** What to tell about a collection that was just made. */
export function madeLines(made: MadeCollection, shell: Pick<Shell, 'cwd'>): readonly string[] {
  const shown = (path: string): string => shownPath(path, shell);
  return [
    `Created the collection \`${made.name}\`.`,
    ...columns([
      ['collection', shown(made.folder)],
      ['root', `${shown(made.root)}: give this file to your users, it is what they trust`],
      ['token', `${shown(made.tokenFile)}: whoever has it may submit`],
      ...(made.passphraseFolder === undefined
        ? [
            [
              'offline key',
              `${shown(made.folder)}/keys/offline.pem: move it off this machine, the service never needs it`,
            ],
          ]
        : [['passphrases', `${shown(made.passphraseFolder)}: random, in files that only you can read`]]),
    ]),
    ...(made.passphraseFolder === undefined
      ? []
      : ['This is a development mode: keys and their passphrases lie side by side, the offline key too.']),
  ];
}
