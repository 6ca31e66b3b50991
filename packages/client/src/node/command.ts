// The small command of the client: refresh, or fetch one target, and end.
// For scripts and images that want a verified file and nothing else; the whole
// of Countersign is in the command `countersign`. Judges nothing itself, and
// loads nothing that its task does not need: see docs/adr/0010.

import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { parseArgs } from 'node:util';
import { isTufError, MetadataError, rowOf, UsageError } from '@countersign/core';
import type { Client } from '../client.ts';
import { fileSink } from './file-sink.ts';
import { openNodeClient } from './open.ts';

/** Where a command's lines go. */
export interface Terminal {
  /** Results. */
  readonly out: (line: string) => void;
  /** Failures. */
  readonly err: (line: string) => void;
}

/** How the command is called. */
export const USAGE = `Usage: countersign-client refresh --url <collection> --root <file> [--state <folder>]
       countersign-client fetch   --url <collection> --root <file> [--state <folder>] [--output <file>] <target>`;

/**
 * Carries out one command line.
 *
 * @returns the exit code: 0, or that of the failure's row in core's table
 * @example process.exitCode = await runCommand(process.argv.slice(2), terminal)
 */
export async function runCommand(line: readonly string[], { out, err }: Terminal): Promise<number> {
  try {
    for (const text of await carryOut(line)) out(visible(text));
    return 0;
  } catch (error) {
    if (!isTufError(error)) throw error;
    const { sentence, next, exit } = rowOf(error.code);
    err(visible(`${error.code}: ${sentence}`));
    err(visible(`  ${error.message}`));
    err(error.code === 'USAGE_INVALID' ? USAGE : visible(`  Next: ${next}`));
    return exit;
  }
}

async function carryOut(line: readonly string[]): Promise<readonly string[]> {
  const { command, target, url, root, state, output } = readLine(line);
  const client = await openNodeClient({ url, folder: state, anchor: anchorIn(root) });
  const { timestamp } = await client.refresh();
  if (command === 'refresh') return [`Verified: timestamp ${timestamp.content.version}`];
  const file = output ?? basename(target);
  await fetchTarget(client, target, file);
  return [`Verified and saved ${file}`];
}

async function fetchTarget(client: Client, path: string, file: string): Promise<void> {
  const found = await client.find(path);
  if (found === undefined) {
    throw new MetadataError('TARGET_UNKNOWN', `Looking for ${path.slice(0, 300)}: no trusted role lists it`);
  }
  await client.download(found.target, fileSink(file));
}

interface Line {
  readonly command: 'refresh' | 'fetch';
  readonly target: string;
  readonly url: string;
  readonly root: string;
  readonly state: string;
  readonly output: string | undefined;
}

function readLine(line: readonly string[]): Line {
  const { values, positionals } = parsed(line);
  const [command, target = ''] = positionals;
  const { url, root, state = '.countersign/client', output } = values;
  const wanted = command === 'fetch' ? 2 : 1;
  if ((command !== 'refresh' && command !== 'fetch') || positionals.length !== wanted) {
    throw new UsageError('USAGE_INVALID', 'Reading the command line: refresh, or fetch and one target, is required');
  }
  if (url === undefined || root === undefined) {
    throw new UsageError('USAGE_INVALID', 'Reading the command line: --url and --root are required');
  }
  return { command, target, url, root, state, output };
}

function parsed(line: readonly string[]): {
  readonly values: { url?: string; root?: string; state?: string; output?: string };
  readonly positionals: readonly string[];
} {
  const text = { type: 'string' } as const;
  try {
    const options = { url: text, root: text, state: text, output: text };
    return parseArgs({ args: [...line], allowPositionals: true, options });
  } catch (cause) {
    throw new UsageError('USAGE_INVALID', 'Reading the command line: an option is not known or has no value', {
      cause,
    });
  }
}

function anchorIn(file: string): Uint8Array {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw new UsageError('ANCHOR_MISSING', 'Reading the trusted root: the file cannot be read', {
      detail: { file },
      cause,
    });
  }
}

/** Makes characters visible that could steer a terminal: names come from a repository. */
function visible(text: string): string {
  return text.replace(/\p{C}/gu, (sign) => `\\u{${(sign.codePointAt(0) ?? 0).toString(16)}}`);
}
