import { describe, expect, test } from 'vitest';
import { codeOf, crypto, signer } from '../test/world.ts';
import { utf8, utf8Text } from './bytes.ts';
import { driveCrypto } from './drive.ts';
import { openStatement, preAuthEncoding, signStatement } from './dsse.ts';
import { verify } from './threshold.ts';

const TYPE = 'application/vnd.countersign.claim+json';
const [a, b] = [signer('a'), signer('b')];

describe('preAuthEncoding', () => {
  test('the vector of the DSSE specification', () => {
    const encoded = utf8Text(preAuthEncoding('http://example.com/HelloWorld', utf8('hello world')));
    expect(encoded).toBe('DSSEv1 29 http://example.com/HelloWorld 11 hello world');
  });

  test('lengths are in bytes; nothing is ambiguous', () => {
    expect(utf8Text(preAuthEncoding('é', utf8('€')))).toBe('DSSEv1 2 é 3 €');
    expect(utf8Text(preAuthEncoding('', new Uint8Array()))).toBe('DSSEv1 0  0 ');
    expect(preAuthEncoding('a', utf8('1 b'))).not.toEqual(preAuthEncoding('a 3 1', utf8('b')));
  });
});

describe('statements', () => {
  test('what is signed is what is opened and verified', async () => {
    const payload = utf8('{ "_type": "claim", "name": "é" }'); // need not be canonical: its bytes are signed
    const bytes = await signStatement(TYPE, payload, [a, b]);
    const statement = openStatement(bytes, TYPE, 'a claim');
    expect(statement.bytes).toBe(bytes);
    expect(statement.signed.get('name')).toBe('é');
    expect(statement.message).toEqual(preAuthEncoding(TYPE, payload));
    const role = { keyIds: [a.keyId, b.keyId], threshold: 2 };
    const keys = new Map([a, b].map(({ keyId, key }) => [keyId, key]));
    const read = (signed: ReadonlyMap<string, unknown>): unknown => signed.get('_type');
    const run = (envelope: typeof statement): unknown =>
      driveCrypto(verify(envelope, [{ keys, role, name: 'a claim' }], read), crypto).content;
    expect(run(statement)).toBe('claim');
    const other = { ...statement, message: preAuthEncoding('another type', payload) };
    expect(codeOf(() => run(other))).toBe('THRESHOLD_NOT_MET');
    const short = openStatement(await signStatement(TYPE, payload, [a]), TYPE, 'a claim');
    expect(codeOf(() => run(short))).toBe('THRESHOLD_NOT_MET');
  });

  const statement = (more: Record<string, unknown> = {}): Uint8Array =>
    utf8(JSON.stringify({ payload: 'e30=', payloadType: TYPE, signatures: [], ...more }));
  const sig = { keyid: 'a', sig: 'AA==' };

  test('signatures are base64; one that is not counts for nothing', () => {
    const { signatures, signed } = openStatement(
      statement({ signatures: [sig, { keyid: 'b', sig: 'zz' }] }),
      TYPE,
      'a claim',
    );
    expect(signed.size).toBe(0);
    expect(signatures).toEqual([
      { keyId: 'a', bytes: new Uint8Array(1) },
      { keyId: 'b', bytes: undefined },
    ]);
  });

  test.each<[string, string, Uint8Array]>([
    ['JSON_INVALID', 'not JSON', utf8('x')],
    ['FORMAT_INVALID', 'another payload type', statement({ payloadType: 'text/plain' })],
    ['FORMAT_INVALID', 'no payload type', statement({ payloadType: undefined })],
    ['FORMAT_INVALID', 'no payload', statement({ payload: undefined })],
    ['FORMAT_INVALID', 'a payload that is no base64', statement({ payload: 'e30' })],
    ['FORMAT_INVALID', 'a payload in URL-safe base64', statement({ payload: 'eyJhIjoi_-8ifQ==' })],
    ['JSON_INVALID', 'a payload that is no JSON', statement({ payload: 'eA==' })],
    ['JSON_INVALID', 'a payload that is an array', statement({ payload: 'W10=' })],
    ['JSON_INVALID', 'an empty payload', statement({ payload: '' })],
    ['FORMAT_INVALID', 'no signatures', statement({ signatures: undefined })],
    ['SIGNATURE_DUPLICATE', 'a key id twice', statement({ signatures: [sig, sig] })],
  ])('%s: %s', (code, _, bytes) => {
    expect(codeOf(() => openStatement(bytes, TYPE, 'a claim'))).toBe(code);
  });
});
