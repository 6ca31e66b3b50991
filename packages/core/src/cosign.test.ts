import { expect, test } from 'vitest';
import { crypto, signer } from '../test/world.ts';
import { utf8, utf8Text } from './bytes.ts';
import { objectOf } from './canonical.ts';
import { cosign, withSignatures, withStatementSignatures } from './cosign.ts';
import { driveCrypto } from './drive.ts';
import { openStatement, signStatement } from './dsse.ts';
import { signFile } from './edit.ts';
import { type Envelope, openEnvelope } from './envelope.ts';
import { tallySignatures } from './threshold.ts';

const TYPE = 'application/vnd.countersign.decision+json';
const [a, b, c] = [signer('a'), signer('b'), signer('c')];
const role = { keyIds: [a.keyId, b.keyId, c.keyId], threshold: 2 };
const authority = { keys: new Map([a, b, c].map(({ keyId, key }) => [keyId, key])), role, name: 'root' };
const signedBy = ({ message, signatures }: Envelope): readonly string[] =>
  driveCrypto(tallySignatures(message, signatures, authority), crypto).signed;

test('a file that one has signed gets the signature of another, and what is signed stays', async () => {
  const draft = await signFile(objectOf({ _type: 'root', note: 'é' }), []);
  const one = withSignatures(draft, 'root', await cosign(openEnvelope(draft, 'root').message, [b]));
  const both = withSignatures(one, 'root', await cosign(openEnvelope(one, 'root').message, [a]));
  expect(signedBy(openEnvelope(one, 'root'))).toEqual([b.keyId]);
  expect(signedBy(openEnvelope(both, 'root'))).toEqual([a.keyId, b.keyId]);
  expect(openEnvelope(both, 'root').message).toEqual(openEnvelope(draft, 'root').message);
});

test('a signature under a key id that has one takes its place, and rubbish is dropped', async () => {
  const draft = await signFile(objectOf({ _type: 'root' }), []);
  const { message } = openEnvelope(draft, 'root');
  const wrong = withSignatures(draft, 'root', [{ keyId: a.keyId, bytes: new Uint8Array(64) }]);
  expect(signedBy(openEnvelope(wrong, 'root'))).toEqual([]);
  expect(signedBy(openEnvelope(withSignatures(wrong, 'root', await cosign(message, [a])), 'root'))).toEqual([a.keyId]);
  const rubbish = utf8('{"signatures":[{"keyid":"x","sig":"zz"}],"signed":{"_type":"root"}}');
  expect(openEnvelope(withSignatures(rubbish, 'root', []), 'root').signatures).toEqual([]);
});

test('statements are signed by several in the same way', async () => {
  const draft = await signStatement(TYPE, utf8('{"_type":"decision"}'), [a]);
  const { message } = openStatement(draft, TYPE, 'a decision');
  const both = withStatementSignatures(draft, 'a decision', await cosign(message, [c]));
  const opened = openStatement(both, TYPE, 'a decision');
  expect([opened.message, signedBy(opened)]).toEqual([message, [a.keyId, c.keyId]]);
  expect(utf8Text(both)).not.toContain('\n');
});
