// What the service answers to submissions it must not take, told at its HTTP
// door: status, code, a sentence, what to do next; and the collection is what
// it was, to the byte of timestamp.json.

import { sha256 } from '@countersign/client/node';
import {
  CODES,
  type Code,
  type Delegations,
  days,
  editRoot,
  editTargets,
  type JsonObject,
  objectOf,
  openEnvelope,
  ownerRoleName,
  type Project,
  projectDirectory,
  readRoot,
  readTargets,
  releaseRoleName,
  type Signer,
  signFile,
  type TargetFile,
  type Targets,
  utf8,
  utf8Text,
} from '@countersign/core';
import { ecosystemOf } from '@countersign/ecosystems';
import { signClaim, submissionText } from '@countersign/repository';
import { generateSigner } from '@countersign/signers';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type CliWorld, hashesOf, npmTarball, startCliWorld } from '../test/cli-world.ts';

const NOW = Date.parse('2030-01-01T00:00:00Z');
const MAX_ROLE = 40_000;
const MAX_BLOB = 100_000;
const ada = generateSigner();
const ben = generateSigner();
const carl = generateSigner();
const left = ecosystemOf('npm').project('left');
const right = ecosystemOf('npm').project('right');
const shared = ecosystemOf('npm').project('shared');

let world: CliWorld;
let leftNow: Targets;
let sharedNow: Targets;

beforeAll(async () => {
  world = await startCliWorld({ maxRoleBytes: MAX_ROLE, maxTargets: 100, maxBlobBytes: MAX_BLOB });
  await claimed(left, [ada]);
  await claimed(right, [ben]);
  sharedNow = await claimed(shared, [ada, ben], 2);
  leftNow = await published(left, await draft(left, '1.0.0'), [ada]);
});
afterAll(async () => {
  await world.close();
});

describe('a submission is refused and changes nothing:', () => {
  let before: string;
  beforeEach(async () => {
    before = await world.timestamp();
  });

  it('signed by the wrong key', async () => {
    const file = await signed(await draft(left, '1.1.0', leftNow), ben);
    await refused({ roles: [{ role: roleOf(left), file }] }, 403, 'SUBMISSION_UNSIGNED');
  });

  it('signed by the wrong key under the right key’s id', async () => {
    const file = await signed(await draft(left, '1.1.0', leftNow), { ...ben, keyId: ada.keyId });
    await refused({ roles: [{ role: roleOf(left), file }] }, 403, 'SUBMISSION_UNSIGNED');
  });

  it('below threshold, also when one key signs twice', async () => {
    const once = await signed(await draft(shared, '1.0.0', sharedNow), ada);
    await refused({ roles: [{ role: roleOf(shared), file: once }] }, 403, 'SUBMISSION_UNSIGNED');
    const twice = await signed(await draft(shared, '1.0.0', sharedNow), ada, { ...ada, keyId: ben.keyId });
    await refused({ roles: [{ role: roleOf(shared), file: twice }] }, 403, 'SUBMISSION_UNSIGNED');
  });

  it('for another author’s project: their role, or their path in one’s own', async () => {
    const theirs = await signed(await draft(right, '1.0.0'), ada);
    await refused({ roles: [{ role: roleOf(right), file: theirs }] }, 403, 'SUBMISSION_UNSIGNED');
    const foreign = await target(right, '1.0.0');
    const inMine = await signed(editTargets(leftNow, { expires: later(), set: [foreign] }), ada);
    await refused({ roles: [{ role: roleOf(left), file: inMine }] }, 403, 'SUBMISSION_FOREIGN');
  });

  it.each(['snapshot', 'timestamp', 'recent-0', 'unclaimed-0', 'npm.1.nobody', '../left'])(
    'for the role %s, which is no author’s',
    async (role) => {
      const file = await signed(editTargets(undefined, { expires: later() }), ada);
      await refused({ roles: [{ role, file }] }, 404, 'NAME_UNCLAIMED');
    },
  );

  it('for root, what is none, and one that the offline keys have not signed', async () => {
    const none = await signed(editTargets(undefined, { expires: later() }), ada);
    await refused({ roles: [{ role: 'root', file: none }] }, 400, 'SUBMISSION_INVALID');
    const present = readRoot(openEnvelope(world.anchor, 'root').signed);
    const next = await signed(editRoot(present, { expires: later() }), ada);
    await refused({ roles: [{ role: 'root', file: next }] }, 403, 'SUBMISSION_UNSIGNED');
  });

  it.each(['claimed-0', 'targets'])('for %s without the offline key', async (role) => {
    const file = await signed(editTargets(undefined, { expires: later() }), ada);
    await refused({ roles: [{ role, file }] }, 403, 'SUBMISSION_UNSIGNED');
  });

  it.each([
    ['the present version again', -1],
    ['a version ahead of the next', 1],
    ['the highest version there is', 'most'],
  ] as const)('with %s', async (_, step) => {
    const change = await draft(left, '1.1.0', leftNow);
    const version = step === 'most' ? Number.MAX_SAFE_INTEGER : leftNow.version + 1 + step;
    const file = await signed(new Map([...change, ['version', version]]), ada);
    const { detail } = await refused({ roles: [{ role: roleOf(left), file }] }, 409, 'SUBMISSION_STALE');
    expect(detail).toMatchObject({ want: leftNow.version + 1, got: version });
  });

  it('with a blob that does not match: at its upload', async () => {
    const bytes = npmTarball({ name: 'left', version: '1.1.0' });
    const other = hashesOf(utf8('something else')).get('sha256') ?? '';
    await refusedAnswer(await put(other, bytes), 422, 'BLOB_MISMATCH');
  });

  it.each(['length', 'sha512'] as const)('with a blob that does not match: its %s', async (fact) => {
    const good = await target(left, '1.1.0');
    const wrong: TargetFile =
      fact === 'length'
        ? { ...good, length: good.length + 1 }
        : { ...good, hashes: new Map([...good.hashes, ['sha512', '0'.repeat(128)]]) };
    const file = await signed(editTargets(leftNow, { expires: later(), set: [wrong] }), ada);
    await refused({ roles: [{ role: roleOf(left), file }] }, 422, 'BLOB_MISMATCH');
  });

  it('with a blob that was never uploaded', async () => {
    const missing = await target(left, '1.1.0', 'never uploaded', false);
    const file = await signed(editTargets(leftNow, { expires: later(), set: [missing] }), ada);
    await refused({ roles: [{ role: roleOf(left), file }] }, 422, 'BLOB_MISSING');
  });

  it('with only one hash of a file', async () => {
    const good = await target(left, '1.1.0');
    const weak = { ...good, hashes: new Map([['sha256', good.hashes.get('sha256') ?? '']]) };
    const file = await signed(editTargets(leftNow, { expires: later(), set: [weak] }), ada);
    await refused({ roles: [{ role: roleOf(left), file }] }, 400, 'SUBMISSION_INVALID');
  });

  it('over the size limit: of a role, of its files, of a blob, of the whole', async () => {
    const padded = editTargets(leftNow, { expires: later(), members: new Map([['padding', 'x'.repeat(MAX_ROLE)]]) });
    const role = { role: roleOf(left), file: await signed(padded, ada) };
    await refused({ roles: [role] }, 413, 'SUBMISSION_TOO_LARGE');
    const hashes = hashesOf(utf8(''));
    const set = Array.from({ length: 101 }, (_, i): TargetFile => {
      return { path: `${directoryOf(left)}/left-${i}.0.0.tgz`, length: 0, hashes, custom: undefined };
    });
    const many = { role: roleOf(left), file: await signed(editTargets(leftNow, { expires: later(), set }), ada) };
    await refused({ roles: [many] }, 413, 'SUBMISSION_TOO_LARGE');
    const blob = new Uint8Array(MAX_BLOB + 1);
    await refusedAnswer(await put(hashesOf(blob).get('sha256') ?? '', blob), 413, 'SUBMISSION_TOO_LARGE');
    const whole = JSON.stringify({ roles: [], padding: 'x'.repeat(17 * 1024 * 1024) });
    await refusedAnswer(await post(whole), 413, 'SUBMISSION_TOO_LARGE');
  });

  it.each([
    ['nothing', ''],
    ['half an object', '{"roles":['],
    ['text', 'hello'],
    ['a list', '[]'],
    ['no roles', '{}'],
    ['an empty list of roles', '{"roles":[]}'],
    ['a name twice', '{"roles":[],"roles":[]}'],
    ['roles of another shape', '{"roles":["npm.1.left"]}'],
    ['deep nesting', `{"roles":${'['.repeat(10_000)}`],
    ['a role that is not JSON', JSON.stringify({ roles: [{ role: 'npm.1.left', file: 'not JSON' }] })],
    ['a role that is JSON of another kind', JSON.stringify({ roles: [{ role: 'npm.1.left', file: '{"signed":{}}' }] })],
    ['a claim that is not JSON', JSON.stringify({ roles: [{ role: 'npm.1.left', file: '{}' }], decisions: ['no'] })],
  ])('not JSON, or not as it must be: %s', async (_, body) => {
    await refusedAnswer(await post(body), 400, 'SUBMISSION_INVALID');
  });

  it('of another content type', async () => {
    const answer = await post('{"roles":[]}', { 'content-type': 'text/plain' });
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(answer.status).toBeLessThan(500);
  });

  it('without a token, with an unknown one, with another scheme', async () => {
    for (const authorization of [undefined, 'Bearer cst_unknown', `Basic ${world.token}`]) {
      await refusedAnswer(await post('{"roles":[]}', { authorization }), 401, 'UNAUTHENTICATED');
      const hash = hashesOf(utf8('x')).get('sha256') ?? '';
      await refusedAnswer(await put(hash, utf8('x'), { authorization }), 401, 'UNAUTHENTICATED');
    }
  });

  it('that changes what is published', async () => {
    const changed = await target(left, '1.0.0', 'export const changed = true;\n');
    const file = await signed(editTargets(leftNow, { expires: later(), set: [changed] }), ada);
    await refused({ roles: [{ role: roleOf(left), file }] }, 422, 'SUBMISSION_WITHDRAWS');
  });

  it('that would expire within days', async () => {
    const file = await signed(editTargets(leftNow, { expires: NOW + days(3) }), ada);
    await refused({ roles: [{ role: roleOf(left), file }] }, 422, 'SUBMISSION_EXPIRED');
  });

  it('whose index entry does not say what the file says', async () => {
    const good = await target(left, '1.1.0');
    const custom = objectOf({ npm: { name: 'left', version: '1.1.0', dependencies: { evil: '*' } } });
    const lying = editTargets(leftNow, { expires: later(), set: [{ ...good, custom }] });
    await refused({ roles: [{ role: roleOf(left), file: await signed(lying, ada) }] }, 422, 'ENTRY_INVALID');
  });

  it('that lists a file under another version’s name', async () => {
    const good = await target(left, '1.1.0');
    const renamed = { ...good, path: good.path.replace('1.1.0', '9.9.9') };
    const file = await signed(editTargets(leftNow, { expires: later(), set: [renamed] }), ada);
    await refused({ roles: [{ role: roleOf(left), file }] }, 422, 'ENTRY_INVALID');
  });

  it('that delegates beyond its project', async () => {
    const delegations = delegationTo(roleOf(right), `${directoryOf(right)}/*`);
    const file = await signed(editTargets(leftNow, { expires: later(), delegations }), ada);
    await refused({ roles: [{ role: roleOf(left), file }] }, 403, 'SUBMISSION_FOREIGN');
    const outside = delegationTo(releaseRoleName(roleOf(left), 'ci'), `${directoryOf(right)}/*`);
    const other = await signed(editTargets(leftNow, { expires: later(), delegations: outside }), ada);
    await refused({ roles: [{ role: roleOf(left), file: other }] }, 403, 'SUBMISSION_FOREIGN');
  });

  it('that claims what is taken, another collection’s name, or a name without its role', async () => {
    const file = await signed(editTargets(undefined, { expires: later() }), carl);
    const taken = { roles: [{ role: roleOf(left), file }], decisions: [await signClaim('main', left, [carl])] };
    await refused(taken, 409, 'NAME_TAKEN');
    const free = ecosystemOf('npm').project('free');
    const role = { role: roleOf(free), file };
    await refused({ roles: [role], decisions: [await signClaim('other', free, [carl])] }, 400, 'SUBMISSION_INVALID');
    await refused({ roles: [role], decisions: [await signClaim('main', free, [ada])] }, 403, 'SUBMISSION_UNSIGNED');
    const without = { roles: [], decisions: [await signClaim('main', free, [carl])] };
    await refused(without, 400, 'SUBMISSION_INVALID');
  });

  it('of which one part is good and another is not: all of it', async () => {
    const good = { role: roleOf(left), file: await signed(await draft(left, '1.1.0', leftNow), ada) };
    const bad = { role: roleOf(right), file: await signed(await draft(right, '1.0.0'), ada) };
    await refused({ roles: [good, bad] }, 403, 'SUBMISSION_UNSIGNED');
  });

  async function refused(
    submission: { roles: readonly { role: string; file: string }[]; decisions?: readonly string[] },
    status: number,
    code: Code,
  ): Promise<Record<string, unknown>> {
    return await refusedAnswer(await post(submissionText({ decisions: [], ...submission })), status, code);
  }

  async function refusedAnswer(answer: Response, status: number, code: Code): Promise<Record<string, unknown>> {
    const body: unknown = await answer.json();
    expect(body).toEqual({ code, error: expect.any(String), next: expect.any(String), detail: expect.any(Object) });
    const told: Record<string, unknown> = typeof body === 'object' && body !== null ? { ...body } : {};
    // What a rule says is nearer than what its code says.
    const { next: nearer = CODES[code].next } = Object(told['detail']) as { next?: string };
    expect(told['next']).toBe(nearer);
    expect(answer.status).toBe(status);
    expect(CODES[code].http).toBe(status);
    expect(told['error']).toMatch(/^[A-Z].{10,}[^.]$/s);
    expect(await world.timestamp()).toBe(before);
    return told;
  }
});

describe('what is refused does not stand in the way of what is good:', () => {
  it('the next version still goes through', async () => {
    const file = await signed(await draft(left, '1.1.0', leftNow), ada);
    const answer = await post(submissionText({ roles: [{ role: roleOf(left), file }], decisions: [] }));
    expect(answer.status).toBe(201);
    expect(await answer.json()).toMatchObject({ state: 'published' });
  });

  it('a threshold that is met goes through', async () => {
    const file = await signed(await draft(shared, '1.0.0', sharedNow), ada, ben);
    const answer = await post(submissionText({ roles: [{ role: roleOf(shared), file }], decisions: [] }));
    expect(answer.status).toBe(201);
  });
});

async function claimed(project: Project, owners: readonly Signer[], threshold = owners.length): Promise<Targets> {
  const file = await signed(editTargets(undefined, { expires: later() }), ...owners);
  const decisions = [await signClaim('main', project, owners, threshold)];
  const answer = await post(submissionText({ roles: [{ role: roleOf(project), file }], decisions }));
  if (answer.status !== 201) throw new Error(await answer.text());
  return contentOf(file, project);
}

async function published(project: Project, change: JsonObject, signers: readonly Signer[]): Promise<Targets> {
  const file = await signed(change, ...signers);
  const answer = await post(submissionText({ roles: [{ role: roleOf(project), file }], decisions: [] }));
  if (answer.status !== 201) throw new Error(await answer.text());
  return readTargets(change, roleOf(project));
}

function contentOf(file: string, project: Project): Targets {
  return readTargets(openEnvelope(utf8(file), roleOf(project)).signed, roleOf(project));
}

/** The version after `previous`, or the first after the claim, with one more package. */
async function draft(project: Project, version: string, previous?: Targets): Promise<JsonObject> {
  const set = [await target(project, version)];
  return editTargets(previous ?? readTargets(editTargets(undefined, { expires: later() }), 'empty'), {
    expires: later(),
    set,
  });
}

/** A package as its owner would list it, uploaded. */
async function target(project: Project, version: string, text?: string, upload = true): Promise<TargetFile> {
  const bytes = npmTarball({ name: project.name, version }, text);
  const hashes = hashesOf(bytes);
  if (upload) {
    const answer = await put(hashes.get('sha256') ?? '', bytes);
    expect([200, 201]).toContain(answer.status);
  }
  const { file, custom } = await ecosystemOf('npm').inspect(bytes, { project });
  return { path: `${directoryOf(project)}/${file}`, length: bytes.length, hashes, custom };
}

function delegationTo(name: string, pattern: string): Delegations {
  const paths = { by: 'pattern', patterns: [pattern] } as const;
  const role = { name, keyIds: [ada.keyId], threshold: 1, terminating: false, paths };
  return { keys: new Map([[ada.keyId, ada.key]]), roles: [role], succinct: undefined };
}

async function signed(change: JsonObject, ...signers: readonly Signer[]): Promise<string> {
  return utf8Text(await signFile(change, signers)) ?? '';
}

async function post(body: string, headers: Record<string, string | undefined> = {}): Promise<Response> {
  return await fetch(`${world.api}/submissions`, {
    method: 'POST',
    headers: withToken({ 'content-type': 'application/json', ...headers }),
    body,
  });
}

async function put(
  hash: string,
  body: Uint8Array,
  headers: Record<string, string | undefined> = {},
): Promise<Response> {
  const type = { 'content-type': 'application/octet-stream' };
  return await fetch(`${world.api}/blobs/${hash}`, {
    method: 'PUT',
    headers: withToken({ ...type, ...headers }),
    body: Buffer.from(body),
  });
}

function withToken(headers: Record<string, string | undefined>): Record<string, string> {
  const all = Object.entries({ authorization: `Bearer ${world.token}`, ...headers });
  return Object.fromEntries(all.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));
}

function roleOf(project: Project): string {
  return ownerRoleName(project, 1);
}

function directoryOf(project: Project): string {
  return projectDirectory(project, sha256);
}

function later(): number {
  return NOW + days(3652);
}
