// Which registries the user's own npm would ask: read from npm itself, because
// its answer comes out of five places. Asked once, at start. Takes addresses
// only: credentials stay with npm.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { UsageError } from '@countersign/core';

/** What npm is configured to ask. */
export interface NpmRegistries {
  readonly registry: string;
  /** By scope, with its `@`. */
  readonly scopes: ReadonlyMap<string, string>;
}

/**
 * Asks npm for its registries.
 *
 * @param from where npm looks for a project's `.npmrc`, and its environment
 * @throws UsageError CONFIG_INVALID when npm cannot be run or names none
 * @example const relayUnlisted = await npmRegistryOf({ cwd: process.cwd() });
 */
export async function npmRegistryOf(
  from: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<NpmRegistries> {
  const options = { ...from, timeout: 30_000, maxBuffer: 4 * 1024 * 1024, shell: process.platform === 'win32' };
  let config: unknown;
  try {
    const { stdout } = await promisify(execFile)('npm', ['config', 'list', '--long', '--json'], options);
    config = JSON.parse(stdout);
  } catch (cause) {
    throw new UsageError('CONFIG_INVALID', 'Asking npm for its registry: it did not answer', { cause });
  }
  return registriesIn(config);
}

/** Reads what `npm config list --long --json` prints. @throws UsageError CONFIG_INVALID */
export function registriesIn(config: unknown): NpmRegistries {
  const settings =
    typeof config === 'object' && config !== null
      ? new Map<string, unknown>(Object.entries(config))
      : new Map<string, unknown>();
  const registry = settings.get('registry');
  if (typeof registry !== 'string' || !URL.canParse(registry)) {
    throw new UsageError('CONFIG_INVALID', 'Asking npm for its registry: it names none');
  }
  const scopes = new Map<string, string>();
  for (const [name, value] of settings) {
    const scope = /^(@[^/:]+):registry$/.exec(name)?.[1];
    if (scope !== undefined && typeof value === 'string' && URL.canParse(value)) scopes.set(scope, value);
  }
  return { registry, scopes };
}
