import { describe, expect, test } from 'vitest';
import { codeOf, fileBytes, rootJson, signer } from '../test/world.ts';
import { utf8, utf8Text } from './bytes.ts';
import { canonicalBytes } from './canonical.ts';
import { openEnvelope } from './envelope.ts';
import { readDocument } from './json.ts';

const open = (text: string): ReturnType<typeof openEnvelope> => openEnvelope(utf8(text), 'snapshot');

test('§4.2.1 signatures are over the received slice when that is canonical', () => {
  const text = '{"signed":{"_type":"x","v":"é"},"signatures":[{"keyid":"A","sig":"00fF","more":1}],"more":1}';
  const { message, signed, signatures, bytes } = open(text);
  expect(utf8Text(message)).toBe('{"_type":"x","v":"é"}');
  expect(signed.get('_type')).toBe('x');
  expect(signatures).toEqual([{ keyId: 'A', bytes: new Uint8Array([0, 255]) }]);
  expect(bytes).toEqual(utf8(text));
});

test('§4.2.1 signatures are over the canonical form of what was received when the slice is not canonical', () => {
  const text = String.raw`{"signatures":[],"signed":{ "😀":1, "ﬀ":"\u00e9\n", "unknown":[ ] }}`;
  const { message, signed } = open(text);
  expect(utf8Text(message)).toBe('{"unknown":[],"ﬀ":"é\n","😀":1}');
  expect(message).toEqual(canonicalBytes(signed));
});

test('the same content, re-spaced, re-ordered and escaped, gives the same message', () => {
  const file = fileBytes(rootJson(1), [signer('root')]);
  const json: { signed: Record<string, unknown> } = JSON.parse(utf8Text(file) ?? '');
  const reversed = Object.fromEntries(Object.entries(json.signed).reverse());
  const other = JSON.stringify({ signed: reversed, signatures: [] }, null, 2).replaceAll('root', String.raw`\u0072oot`);
  const message = readDocument(file).canonicalSlice('signed');
  expect(openEnvelope(utf8(other), 'root').message).toEqual(message);
  expect(openEnvelope(file, 'root').message).toEqual(message);
});

test('§4.2.1 a signature that is not hexadecimal is kept as one that counts for nothing', () => {
  const { signatures } = open(
    '{"signed":{},"signatures":[{"keyid":"a","sig":""},{"keyid":"b","sig":"0"},{"keyid":"c","sig":"zz"}]}',
  );
  expect(signatures).toEqual([
    { keyId: 'a', bytes: new Uint8Array() },
    { keyId: 'b', bytes: undefined },
    { keyId: 'c', bytes: undefined },
  ]);
});

describe('refused', () => {
  const a = '{"keyid":"a","sig":"00"}';
  test.each([
    ['JSON_INVALID', 'not JSON', 'x'],
    ['JSON_INVALID', 'two `signed` members', '{"signed":{},"signed":{},"signatures":[]}'],
    ['JSON_INVALID', 'two `signatures` members', '{"signed":{},"signatures":[],"signatures":[]}'],
    ['FORMAT_INVALID', 'no `signed`', '{"signatures":[]}'],
    ['FORMAT_INVALID', '`signed` null', '{"signed":null,"signatures":[]}'],
    ['FORMAT_INVALID', '`signed` an array', '{"signed":[],"signatures":[]}'],
    ['FORMAT_INVALID', '`signed` a string', '{"signed":"{}","signatures":[]}'],
    ['FORMAT_INVALID', 'no `signatures`', '{"signed":{}}'],
    ['FORMAT_INVALID', '`signatures` an object', '{"signed":{},"signatures":{}}'],
    ['FORMAT_INVALID', 'a signature null', '{"signed":{},"signatures":[null]}'],
    ['FORMAT_INVALID', 'a signature without key id', '{"signed":{},"signatures":[{"sig":"00"}]}'],
    ['FORMAT_INVALID', 'a key id that is a number', '{"signed":{},"signatures":[{"keyid":1,"sig":"00"}]}'],
    ['FORMAT_INVALID', 'a signature without bytes', '{"signed":{},"signatures":[{"keyid":"a"}]}'],
    ['FORMAT_INVALID', 'bytes null', '{"signed":{},"signatures":[{"keyid":"a","sig":null}]}'],
    ['SIGNATURE_DUPLICATE', '§4.2.1 one signature twice', `{"signed":{},"signatures":[${a},${a}]}`],
    ['SIGNATURE_DUPLICATE', '§4.2.1 a key id twice', `{"signed":{},"signatures":[${a},{"keyid":"a","sig":"zz"}]}`],
  ])('%s: %s', (code, _, text) => {
    expect(codeOf(() => open(text))).toBe(code);
  });
});
