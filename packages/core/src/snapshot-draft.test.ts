import { expect, test } from 'vitest';
import { codeOf, NOW, signer, snapshotJson } from '../test/world.ts';
import { utf8Text } from './bytes.ts';
import { objectOf } from './canonical.ts';
import { editSnapshot, signFile } from './edit.ts';
import { openEnvelope } from './envelope.ts';
import { type FileMeta, readSnapshot, type Snapshot } from './model.ts';
import { draftSnapshot, listRoles, signSnapshot } from './snapshot-draft.ts';
import { days } from './time.ts';

const expires = NOW + days(1);
const [key] = [signer('snapshot')];
const meta = (version: number, length?: number): FileMeta => ({ version, length, hashes: undefined });

/** A snapshot with members and entries that the model does not know. */
function received(names: readonly string[]): Snapshot {
  const files = Object.fromEntries(names.map((name, i) => [`${name}.json`, { version: i + 1, 'x-known': 'kept' }]));
  return readSnapshot(objectOf({ ...snapshotJson(7, files), zone: 'mars', 'a-member': { of: ['its', 'own'] } }));
}

async function plainly(previous: Snapshot, set: ReadonlyMap<string, FileMeta>): Promise<string | undefined> {
  return utf8Text(await signFile(editSnapshot(previous, { expires, set }), [key]));
}

test.each([
  ['nothing', []],
  ['one again', ['b']],
  ['one in front of all others', ['Z']],
  ['one behind all others', ['zz']],
  ['first, last and some between', ['a', 'targets', 'aa', 'c', 'bb', 'zzz']],
  ['all again', ['a', 'b', 'c', 'targets']],
  ['names that sort by code point, not by unit', ['\u{1f600}', '\uffee', 'ü', 'b-1', 'b.1', 'b']],
])('§6.3 listing %s gives the bytes that a plain edit gives', async (_what, names) => {
  const previous = received(['targets', 'c', 'a', 'b']);
  const set = new Map(names.map((name, i) => [name, meta(i + 10, i * 100)]));
  const { bytes } = await signSnapshot(listRoles(draftSnapshot(previous), set), expires, [key]);
  expect(utf8Text(bytes)).toBe(await plainly(previous, set));
});

test('§6.3 version after version stays what plain edits would give', async () => {
  let previous = received(['targets']);
  let draft = draftSnapshot(previous);
  for (let round = 1; round <= 20; round++) {
    const names = Array.from({ length: round % 5 }, (_, i) => `role-${(round * 7 + i * 13) % 31}`);
    const set = new Map(names.map((name) => [name, meta(round, round)]));
    const made = await signSnapshot(listRoles(draft, set), expires, [key]);
    expect(utf8Text(made.bytes)).toBe(await plainly(previous, set));
    previous = readSnapshot(openEnvelope(made.bytes, 'snapshot').signed);
    draft = made.draft;
  }
  expect(previous.version).toBe(27);
});

test('a draft of which a version failed is as it was', () => {
  const draft = draftSnapshot(received(['targets', 'a']));
  const metaOf = (): readonly (string | undefined)[] => draft.meta.map(utf8Text);
  const before = metaOf();
  listRoles(draft, new Map([['a', meta(9)]]));
  expect([metaOf(), draft.files]).toEqual([before, ['a.json', 'targets.json']]);
});

test('a name with a control character, which strict JSON writes in another way: USAGE_INVALID', () => {
  const draft = draftSnapshot(received(['targets']));
  expect(codeOf(() => listRoles(draft, new Map([['a\u0001', meta(1)]])))).toBe('USAGE_INVALID');
  expect(codeOf(() => draftSnapshot(received(['targets', 'a\u0001'])))).toBe('USAGE_INVALID');
});

test('a draft that was not signed yet can list more', async () => {
  const previous = received(['targets', 'b']);
  const [one, two] = [
    new Map([['c', meta(1)]]),
    new Map([
      ['a', meta(2)],
      ['b', meta(3)],
    ]),
  ];
  const { bytes } = await signSnapshot(listRoles(listRoles(draftSnapshot(previous), one), two), expires, [key]);
  expect(utf8Text(bytes)).toBe(await plainly(previous, new Map([...one, ...two])));
});

test('what was signed stays as it is when the draft goes on, whoever signs the same twice', async () => {
  const draft = listRoles(draftSnapshot(received(['targets'])), new Map([['a', meta(1)]]));
  const first = await signSnapshot(draft, expires, [key]);
  const text = utf8Text(first.bytes);
  await signSnapshot(draft, expires + days(1), [key]);
  await signSnapshot(listRoles(first.draft, new Map([['a', meta(2)]])), expires, [key]);
  expect(utf8Text(first.bytes)).toBe(text);
});

test('however many keys sign', async () => {
  const previous = received(['targets', 'a']);
  const keys = Array.from({ length: 40 }, (_, i) => signer(`snapshot-${i}`));
  const { bytes, draft } = await signSnapshot(
    listRoles(draftSnapshot(previous), new Map([['a', meta(5)]])),
    expires,
    keys,
  );
  const { signatures, signed } = openEnvelope(bytes, 'snapshot');
  expect([signatures.length, readSnapshot(signed).version]).toEqual([40, previous.version + 1]);
  expect(utf8Text((await signSnapshot(draft, expires, [key])).bytes)).toContain('"a.json":{"version":5}');
});
