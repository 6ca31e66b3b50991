// Whether an object store keeps what we rely on: it refuses to create what is
// there and to replace what has changed, and what it has taken can be read at
// once. A store that overwrites would lose blobs and take clients back without
// a word, so it is refused before anything is entrusted to it.

import { randomUUID } from 'node:crypto';
import { StoreError } from '@countersign/core';
import { bodyOf, type S3Client } from './s3-client.ts';

/**
 * Tries a store out on an object of its own, which it removes.
 *
 * @throws StoreError STORE_UNSAFE when the store does not keep what we rely on; STORE_READ, STORE_WRITE when it refuses
 */
export async function probeStore(client: S3Client): Promise<void> {
  const key = `probe/${randomUUID()}`;
  const copy = `${key}-copy`;
  const put = async (text: string, condition: Readonly<Record<string, string>>): Promise<number> => {
    const body = bodyOf(new TextEncoder().encode(text));
    const accept = [200, 412, 501]; // 501: it knows no conditions
    return (await client.ask({ method: 'PUT', key, headers: condition, body, accept })).status;
  };
  const look = async (): Promise<{ readonly text: string; readonly etag: string }> => {
    const { status, body, headers } = await client.ask({ method: 'GET', key, accept: [200, 404] });
    return { text: status === 200 ? new TextDecoder().decode(body) : '', etag: headers.get('etag') ?? '' };
  };
  const create = { 'if-none-match': '*' };
  try {
    // 412 when a first try was carried out and its answer lost.
    const created = await put('first', create);
    must('create an object only where there is none', created === 200 || created === 412);
    const first = await look();
    must('show what was written at once', first.text === 'first' && first.etag !== '');
    const again = await put('second', create);
    must('refuse to create what is there', again === 412 && (await look()).text === 'first');
    const stale = await put('third', { 'if-match': '"00000000000000000000000000000000"' });
    must('refuse to replace what has changed', stale === 412 && (await look()).text === 'first');
    await put('fourth', { 'if-match': first.etag });
    must('replace what has not changed, and show it at once', (await look()).text === 'fourth');
    const headers = { 'x-amz-copy-source': client.sourceOf(key), 'x-amz-metadata-directive': 'REPLACE' };
    await client.ask({ method: 'PUT', key: copy, headers, accept: [200] });
    const { body } = await client.ask({ method: 'GET', key: copy, accept: [200] });
    must('copy an object', new TextDecoder().decode(body) === 'fourth');
  } finally {
    for (const one of [key, copy]) {
      // What is left of it is in nobody's way.
      await client.ask({ method: 'DELETE', key: one, accept: [200, 204, 404] }).catch(() => undefined);
    }
  }
}

function must(what: string, kept: boolean): void {
  if (kept) return;
  throw new StoreError('STORE_UNSAFE', `Trying the object store out: it does not ${what}`, { detail: { want: what } });
}
