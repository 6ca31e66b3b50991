// The pages in which an object store lists what it holds.

import type { S3Client } from './s3-client.ts';

/** An object as it is listed. */
export interface ListedObject {
  /** Without the prefix of the client. */
  readonly key: string;
  readonly length: number;
  /** Milliseconds since 1970. */
  readonly modified: number;
}

/** Every object whose key begins so, in the order of the keys. @throws StoreError STORE_READ */
export async function* listObjects(client: S3Client, begin: string): AsyncGenerator<ListedObject, void> {
  for (let token: string | undefined = ''; token !== undefined; ) {
    const query = { 'list-type': '2', prefix: client.prefix + begin, ...(token && { 'continuation-token': token }) };
    const answer = await client.ask({ method: 'GET', key: undefined, query, accept: [200] });
    const page = new TextDecoder().decode(answer.body);
    for (const [, object = ''] of page.matchAll(/<Contents>(.*?)<\/Contents>/gs)) {
      yield {
        key: (field(object, 'Key') ?? '').slice(client.prefix.length),
        length: Number(field(object, 'Size')),
        modified: Date.parse(field(object, 'LastModified') ?? ''),
      };
    }
    token = field(page, 'IsTruncated') === 'true' ? field(page, 'NextContinuationToken') : undefined;
  }
}

function field(xml: string, name: string): string | undefined {
  const text = new RegExp(`<${name}>(.*?)</${name}>`, 's').exec(xml)?.[1];
  return text?.replace(/&(?:#(\d+)|#x([0-9a-f]+)|(\w+));/gi, (whole, decimal?: string, hex?: string, name?: string) => {
    if (decimal !== undefined) return String.fromCodePoint(Number(decimal));
    if (hex !== undefined) return String.fromCodePoint(Number.parseInt(hex, 16));
    return NAMED.get(name ?? '') ?? whole;
  });
}

const NAMED: ReadonlyMap<string, string> = new Map([
  ['amp', '&'],
  ['lt', '<'],
  ['gt', '>'],
  ['quot', '"'],
  ['apos', "'"],
]);
