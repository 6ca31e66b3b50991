// The repository's signed word that it has a decision, and since when: checked
// against the key of the verified list of decisions, and kept. Who holds one
// can show later that a list without that decision is not the whole truth.

import { join } from 'node:path';
import type { Client } from '@countersign/client';
import { nodeCrypto } from '@countersign/client/node';
import { MetadataError } from '@countersign/core';
import { openReceipt } from '@countersign/repository';
import type { Config } from './config.ts';
import { writePrivately } from './passphrases.ts';

/**
 * Keeps the receipt of a decision.
 *
 * @param id of the decision
 * @returns where it is kept; `undefined` when there is none among them
 * @throws AdmissionError SUBMISSION_UNSIGNED for a receipt that the repository did not sign
 */
export async function keepReceipt(
  client: Client,
  receipts: readonly string[],
  id: string,
  { state, collection }: Pick<Config, 'state' | 'collection'>,
): Promise<string | undefined> {
  const delegations = client.trusted.targets?.content.delegations;
  const role = delegations?.roles.find(({ name }) => name === 'decisions');
  if (delegations === undefined || role === undefined) {
    throw new MetadataError('METADATA_MISSING', 'Checking a receipt: the collection has no list of decisions');
  }
  const authority = { keys: delegations.keys, role, name: 'decisions' };
  for (const text of receipts) {
    if (openReceipt(text, authority, nodeCrypto).decision !== id) continue;
    const file = join(state, 'receipts', collection, `${id}.json`);
    await writePrivately(file, `${text}\n`);
    return file;
  }
  return undefined;
}
