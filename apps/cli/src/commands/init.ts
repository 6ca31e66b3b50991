// `countersign init`: a collection with its root, its offline key and its
// separate online keys.

import { UsageError } from '@countersign/core';
import type { Context } from '../context.ts';
import { type MadeCollection, makeCollection, makeState } from '../local-collections.ts';
import { columns } from '../output.ts';
import { type Shell, shownPath } from '../shell.ts';

/** What `init` may be told. */
export interface InitOptions {
  readonly dev?: boolean;
  readonly shardDigits: string;
}

/** Creates a collection. @throws UsageError COLLECTION_EXISTS, USAGE_INVALID; SignerError KEY_LOCKED; StoreError */
export async function init(
  { shell, config, output, suggest }: Context,
  name: string,
  options: InitOptions,
): Promise<void> {
  if (!/^[0-4]$/.test(options.shardDigits)) {
    throw new UsageError('USAGE_INVALID', 'Creating the collection: --shard-digits must be 0 to 4');
  }
  await makeState(config);
  const progress = output.progress(`Creating ${name}`);
  const mode = options.dev ? 'development' : 'choose';
  const made = await makeCollection({ shell, config }, name, mode, Number(options.shardDigits));
  progress.end();
  output.result({ ...made, passphraseFolder: made.passphraseFolder ?? null }, [
    ...madeLines(made, shell),
    '',
    'Next:',
    `  ${suggest('serve')}`,
  ]);
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
