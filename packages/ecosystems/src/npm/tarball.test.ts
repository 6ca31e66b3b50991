import { createHash, randomFillSync } from 'node:crypto';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { plainOf } from '@countersign/core';
import fc from 'fast-check';
import { type Header, pack } from 'tar-stream';
import { describe, expect, test } from 'vitest';
import { ecosystemOf } from '../index.ts';
import { readTarball, TARBALL_LIMITS } from './tarball.ts';

const npm = ecosystemOf('npm');
type Entry = readonly [Partial<Header> & { readonly name: string }, (string | Uint8Array)?];

async function archive(entries: readonly Entry[]): Promise<Buffer> {
  const stream = pack();
  for (const [headers, content] of entries) stream.entry(headers, Buffer.from(content ?? ''));
  stream.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of stream) if (chunk instanceof Uint8Array) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}
const tgz = async (entries: readonly Entry[]): Promise<Buffer> => gzipSync(await archive(entries));
const manifest = (fields: object = {}): string => JSON.stringify({ name: 'demo', version: '1.0.0', ...fields });
const packageJson = (fields: object = {}): Entry => [{ name: 'package/package.json' }, manifest(fields)];
const file = (name: string, content = 'x'): Entry => [{ name }, content];
const refusal = async (bytes: Uint8Array, problem: RegExp): Promise<void> => {
  await expect(npm.inspect(bytes)).rejects.toMatchObject({
    code: 'ENTRY_INVALID',
    detail: { problem: expect.stringMatching(problem) },
  });
};
const entryFor = async (fields: object, ...more: Entry[]): Promise<unknown> =>
  plainOf((await npm.inspect(await tgz([packageJson(fields), ...more]))).custom.get('npm') ?? null);

describe('what npm unpacks', () => {
  test('a package is read in one piece and in a stream alike', async () => {
    const bytes = await tgz([packageJson({ dependencies: { ms: '^2' } }), file('package/index.js')]);
    const inspected = await npm.inspect(bytes);
    expect(inspected).toMatchObject({
      file: 'demo-1.0.0.tgz',
      version: '1.0.0',
      project: { name: 'demo' },
      tag: undefined,
    });
    expect(plainOf(inspected.custom)).toEqual({ npm: { name: 'demo', version: '1.0.0', dependencies: { ms: '^2' } } });
    const bytewise = Readable.from([...bytes].map((byte) => Buffer.of(byte)));
    expect(await npm.inspect(bytewise)).toEqual(inspected);
  });

  test('the first folder may have any name, and folders and long names are read', async () => {
    const long = `package/${'deep/'.repeat(60)}file.js`;
    const bytes = await tgz([
      [{ name: 'node/', type: 'directory' }],
      [{ name: 'node/package.json' }, manifest({ name: '@types/node' })],
      file(long),
      [{ name: 'node/x', pax: { comment: 'größe' } }, 'x'],
    ]);
    expect((await npm.inspect(bytes)).file).toBe('node-1.0.0.tgz');
    const { files } = await readTarball(bytes);
    expect(files).toEqual(['package.json', `${'deep/'.repeat(60)}file.js`, 'x']);
  });

  test('a nested package.json is not the package', async () => {
    const bytes = await tgz([
      file('package/sub/package.json', '{}'),
      packageJson(),
      file('package/node_modules/x/package.json', '[]'),
    ]);
    expect((await npm.inspect(bytes)).project.name).toBe('demo');
  });

  test('a byte order mark and odd bytes are read as npm reads them', async () => {
    const bytes = Buffer.concat([
      Buffer.from([0xef, 0xbb, 0xbf]),
      Buffer.from(manifest({ author: '?' }).replace('?', '\u00e9'), 'latin1'),
    ]);
    expect((await npm.inspect(await tgz([[{ name: 'package/package.json' }, bytes]]))).version).toBe('1.0.0');
  });

  test('links inside the package are left out', async () => {
    const bytes = await tgz([
      packageJson(),
      [{ name: 'package/a/link', type: 'symlink', linkname: '../index.js' }],
      [{ name: 'package/hard', type: 'link', linkname: 'package/package.json' }],
    ]);
    expect((await readTarball(bytes)).files).toEqual(['package.json']);
  });
});

describe('hostile tarballs are refused', () => {
  test.each([
    ['no package.json', [file('package/index.js')], /no package\.json/],
    ['package.json outside any folder', [file('package.json', manifest())], /no package\.json/],
    ['an empty archive', [], /no package\.json/],
    ['two', [packageJson(), packageJson({ version: '2.0.0' })], /more than one/],
    ['two in different first folders', [packageJson(), file('other/package.json', manifest())], /more than one/],
    ['two by a dot segment', [packageJson(), file('package/./package.json', manifest())], /more than one/],
    ['two on a disk that ignores case', [packageJson(), file('package/Package.JSON', manifest())], /more than one/],
    ['only one written in another case', [file('package/PACKAGE.json', manifest())], /another way/],
    [
      'two on a disk that drops invisible characters',
      [packageJson(), file('package/pack\u200cage.json', '{}')],
      /more than one/,
    ],
    ['two on a disk that drops trailing dots', [packageJson(), file('package/package.json.', '{}')], /more than one/],
    ['absolute path', [packageJson(), file('/etc/passwd')], /absolute/],
    ['drive letter', [packageJson(), file('C:/x')], /absolute/],
    ['backslash root', [packageJson(), file('\\x')], /absolute/],
    ['traversal', [packageJson(), file('package/../../x')], /leads out/],
    ['traversal with backslashes', [packageJson(), file('package\\..\\..\\x')], /leads out/],
    ['symlink out', [packageJson(), [{ name: 'package/l', type: 'symlink', linkname: '../../x' }]], /link leads out/],
    [
      'symlink to the parent',
      [packageJson(), [{ name: 'package/l', type: 'symlink', linkname: '..' }]],
      /link leads out/,
    ],
    ['absolute symlink', [packageJson(), [{ name: 'package/l', type: 'symlink', linkname: '/etc' }]], /link leads out/],
    ['hard link out', [packageJson(), [{ name: 'package/l', type: 'link', linkname: '../x' }]], /leads out/],
    ['package.json as a link', [[{ name: 'package/package.json', type: 'symlink', linkname: 'x' }]], /is a link/],
    ['a device', [packageJson(), [{ name: 'package/d', type: 'character-device' }]], /no file, folder or link/],
    ['a pipe', [packageJson(), [{ name: 'package/d', type: 'fifo' }]], /no file, folder or link/],
    ['an overlong path', [packageJson(), file(`package/${'a/'.repeat(3000)}x`)], /path is too long/],
    ['not JSON', [file('package/package.json', '{"name":')], /not JSON/],
    ['empty package.json', [file('package/package.json', '')], /not JSON/],
    ['null', [file('package/package.json', 'null')], /not an object/],
    ['a list', [file('package/package.json', '[]')], /not an object/],
    ['no name', [file('package/package.json', '{"version":"1.0.0"}')], /no name/],
    ['no version', [file('package/package.json', '{"name":"x"}')], /no version/],
    ['loose version', [packageJson({ version: 'v1.0.0' })], /strict semver/],
    ['build metadata', [packageJson({ version: '1.0.0+1' })], /strict semver/],
    ['dependencies as a list', [packageJson({ dependencies: ['ms'] })], /not an object/],
    ['a number as range', [packageJson({ dependencies: { ms: 2 } })], /no text/],
    [
      'half a character',
      [file('package/package.json', '{"name":"demo","version":"1.0.0","engines":{"a":"\\ud800"}}')],
      /half a character/,
    ],
    ['a tag that is a range', [packageJson({ publishConfig: { tag: '1.x' } })], /dist-tag/],
  ] satisfies [string, Entry[], RegExp][])('%s', async (_name, entries, problem) => {
    await refusal(await tgz(entries), problem);
  });

  test('a name that is none, and the name of another project', async () => {
    await expect(npm.inspect(await tgz([packageJson({ name: '../x' })]))).rejects.toMatchObject({
      code: 'ENTRY_INVALID',
      detail: { name: '../x' },
    });
    const bytes = await tgz([packageJson()]);
    await expect(npm.inspect(bytes, { project: npm.project('other') })).rejects.toMatchObject({
      code: 'ENTRY_INVALID',
      detail: { want: 'other', got: 'demo' },
    });
    await expect(npm.inspect(bytes, { project: npm.project('demo') })).resolves.toBeDefined();
  });

  test('bytes that are not gzip, and gzip cut at any place', async () => {
    const bytes = await tgz([packageJson(), file('package/x', 'y'.repeat(2000))]);
    await refusal(Buffer.from('not gzip at all'), /not gzip/);
    await refusal(Buffer.alloc(0), /no package\.json|not gzip/);
    await refusal(await archive([packageJson()]), /not gzip/);
    for (let length = 1; length < bytes.length; length += 7) await refusal(bytes.subarray(0, length), /not gzip|ends/);
    const flipped = Buffer.from(bytes);
    flipped[bytes.length - 6] = (flipped[bytes.length - 6] ?? 0) ^ 1;
    await refusal(flipped, /not gzip/);
  });

  test('an archive cut within an entry, damaged, or with a second one behind its end', async () => {
    const tar = await archive([packageJson(), file('package/x', 'y'.repeat(2000))]);
    await refusal(gzipSync(tar.subarray(0, 512 * 4 + 100)), /ends within/);
    await refusal(gzipSync(tar.subarray(0, 700)), /ends within/);
    await refusal(gzipSync(Buffer.concat([tar, tar])), /end marker/);
    const damaged = Buffer.from(tar);
    damaged[3] = 0x58;
    await refusal(gzipSync(damaged), /checksum/);
  });

  test('extended headers: too long, malformed, twice the same, at the end, for every entry', async () => {
    const pax = (type: string, body: string | Uint8Array): Buffer => raw(type, 'PaxHeader', Buffer.from(body));
    const one = (record: string): string => `${record.length + 4} ${record}\n`;
    const head = await archive([packageJson()]);
    const behind = (part: Buffer): Buffer => gzipSync(Buffer.concat([part, head]));
    await refusal(behind(pax('x', Buffer.alloc(70_000, 0x20))), /longer than/);
    await refusal(behind(pax('L', Buffer.alloc(70_000, 0x61))), /longer than/);
    for (const body of ['garbage', '5 a=b', '999 path=x\n', '3 =\n', '0 a=b\n', ' \n', '-4 a=b\n', '07 ab\n']) {
      await refusal(behind(pax('x', body)), /well formed/);
    }
    await refusal(behind(pax('x', one('path=ab') + one('path=cd'))), /twice/);
    await refusal(behind(pax('x', one('size=-1'))), /not a number/);
    await refusal(behind(pax('x', '22 GNU.sparse.major=1\n')), /sparse/);
    await refusal(behind(pax('g', one('path=ab'))), /renames/);
    await refusal(gzipSync(Buffer.concat([head.subarray(0, 1024), pax('x', one('path=ab'))])), /extended header/);
    await expect(npm.inspect(behind(pax('g', one('comment=x'))))).resolves.toBeDefined();
  });

  test('sizes out of range', async () => {
    const block = raw('0', 'package/x', Buffer.alloc(0));
    for (const size of [
      Buffer.alloc(12, 0xff),
      Buffer.from([0x80, ...Array<number>(11).fill(0xff)]),
      Buffer.from('99999999999\0'),
    ]) {
      size.copy(block, 124);
      sum(block);
      await refusal(gzipSync(block), /out of range|not octal/);
    }
  });

  test('bombs: unpacked size, ratio, entries, package.json, all paths, packed size', async () => {
    const limits = { ...TARBALL_LIMITS, unpackedBytes: 100_000, ratioFrom: 1_000_000 };
    const bomb = await tgz([packageJson(), file('package/zeros', '0'.repeat(500_000))]);
    const refusedWith = async (bytes: Uint8Array, changed: object, problem: RegExp): Promise<void> => {
      await expect(readTarball(bytes, { ...TARBALL_LIMITS, ...changed })).rejects.toMatchObject({
        code: 'ENTRY_INVALID',
        detail: { problem: expect.stringMatching(problem) },
      });
    };
    await refusedWith(bomb, limits, /more than is allowed/);
    await refusedWith(bomb, { ratioFrom: 50_000 }, /suspiciously/);
    await refusedWith(
      await tgz([packageJson(), ...Array.from({ length: 20 }, (_, i) => file(`package/${i}`))]),
      { entries: 20 },
      /entries/,
    );
    await refusedWith(await tgz([packageJson({ x: 'y'.repeat(2000) })]), { manifestBytes: 2000 }, /too large/);
    await refusedWith(
      await tgz([packageJson(), file('package/abc'), file('package/def')]),
      { allPathsBytes: 30 },
      /together/,
    );
    await refusedWith(randomFillSync(Buffer.from(bomb)), { packedBytes: 100 }, /too large|not gzip/);
  });

  test('a bomb from an endless source: the source is let go', async () => {
    let released = false;
    let given = 0;
    async function* endless(): AsyncGenerator<Uint8Array> {
      try {
        const member = gzipSync(Buffer.alloc(1 << 20));
        for (;;) {
          given++;
          yield member;
        }
      } finally {
        released = true;
      }
    }
    await expect(readTarball(endless(), { ...TARBALL_LIMITS, unpackedBytes: 4 << 20 })).rejects.toMatchObject({
      code: 'ENTRY_INVALID',
    });
    expect(released).toBe(true);
    expect(given).toBeLessThan(300);
  });

  test('an error of the source is not the tarball’s fault', async () => {
    const bytes = await tgz([packageJson()]);
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield bytes.subarray(0, 20);
      throw new RangeError('disk');
    }
    await expect(npm.inspect(failing())).rejects.toBeInstanceOf(RangeError);
  });

  test('any bytes give an entry or a refusal, nothing else', async () => {
    const tar = await archive([packageJson(), file('package/a'), [{ name: `package/${'b'.repeat(200)}` }, 'x']]);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.nat(tar.length - 1), fc.nat(255)), { maxLength: 6 }), async (edits) => {
        const bytes = Buffer.from(tar);
        for (const [at, value] of edits) bytes[at] = value;
        try {
          await npm.inspect(gzipSync(bytes, { level: 1 }));
        } catch (error) {
          expect(error).toMatchObject({ code: 'ENTRY_INVALID' });
        }
      }),
      { seed: 7, numRuns: 300 },
    );
  });
});

describe('the index entry', () => {
  test.each([
    ['text', { bin: './cli.js' }, { demo: 'cli.js' }],
    ['text of a scoped package', { name: '@x/tool', bin: 'cli.js' }, { tool: 'cli.js' }],
    ['map', { bin: { a: './a.js', b: 'lib/../b.js' } }, { a: 'a.js', b: 'b.js' }],
    ['list', { bin: ['./bin/one', 'bin/two.js'] }, { one: 'bin/one', 'two.js': 'bin/two.js' }],
    ['traversal', { bin: { '../../evil': '../../../etc/passwd' } }, { evil: 'etc/passwd' }],
    ['backslashes and colons', { bin: { 'c:\\x\\y': 'a\\..\\..\\b' } }, { y: 'b' }],
    ['empty and wrong', { bin: { '': 'a', '..': 'b', c: '', d: 7 } }, undefined],
    ['number', { bin: 7 }, undefined],
  ])('bin: %s', async (_name, fields, bin) => {
    expect(await entryFor(fields)).toEqual({
      name: 'demo',
      version: '1.0.0',
      ...('name' in fields && { name: fields.name }),
      ...(bin && { bin }),
    });
  });

  test('directories.bin lists the files below it', async () => {
    const more = [
      file('package/bin/z/same'),
      file('package/bin/one'),
      file('package/bin/.hidden'),
      file('package/binary'),
      file('package/bin/a/same'),
    ];
    expect(await entryFor({ directories: { bin: './bin/' } }, ...more)).toMatchObject({
      bin: { one: 'bin/one', same: 'bin/z/same' },
    });
    expect(await entryFor({ directories: { bin: 'bin' }, bin: 'x' }, ...more)).toMatchObject({ bin: { demo: 'x' } });
    expect(await entryFor({ directories: { bin: 7 } }, ...more)).not.toHaveProperty('bin');
  });

  test.each([
    [{ scripts: { preinstall: 'x' } }, false, true],
    [{ scripts: { install: 'x' } }, false, true],
    [{ scripts: { postinstall: 'x' } }, false, true],
    [{ scripts: { test: 'x', prepare: 'x', install: '' } }, false, false],
    [{}, true, true],
    [{ gypfile: false }, true, false],
    [{ scripts: [] }, false, false],
  ])('install scripts: %j, binding.gyp %s', async (fields, gyp, runs) => {
    const entry = await entryFor(fields, ...(gyp ? [file('package/binding.gyp')] : []));
    expect(entry).toEqual({ name: 'demo', version: '1.0.0', ...(runs && { hasInstallScript: true }) });
  });

  test('dependencies, platforms and bundles in npm’s forms', async () => {
    expect(
      await entryFor(
        {
          dependencies: { a: '^1', b: 'npm:c@2' },
          optionalDependencies: { d: '*' },
          peerDependencies: {},
          peerDependenciesMeta: { e: { optional: true, x: 1 }, f: { optional: 'yes' }, g: null },
          bundledDependencies: true,
          engines: { node: '>=18', npm: 7 },
          os: 'linux',
          cpu: ['x64', '', 5],
          libc: null,
          deprecated: 'no',
          dist: { tarball: 'evil' },
          funding: 1.5,
        },
        file('package/npm-shrinkwrap.json'),
      ),
    ).toEqual({
      name: 'demo',
      version: '1.0.0',
      dependencies: { a: '^1', b: 'npm:c@2' },
      optionalDependencies: { d: '*' },
      peerDependenciesMeta: { e: { optional: true } },
      bundleDependencies: ['a', 'b'],
      engines: { node: '>=18' },
      os: ['linux'],
      cpu: ['x64'],
      _hasShrinkwrap: true,
    });
    expect(await entryFor({ bundleDependencies: { a: '1' }, dependencies: [], engines: ['node'] })).toMatchObject({
      bundleDependencies: ['a'],
    });
    expect(await entryFor({ bundleDependencies: false, dependencies: null })).toEqual({
      name: 'demo',
      version: '1.0.0',
    });
  });

  test('members named like object internals stay members', async () => {
    const text =
      '{"name":"demo","version":"1.0.0","dependencies":{"__proto__":"1","constructor":"2"},"bin":{"__proto__":"x"}}';
    const { custom } = await npm.inspect(await tgz([file('package/package.json', text)]));
    expect(JSON.stringify(plainOf(custom))).toBe(
      '{"npm":{"name":"demo","version":"1.0.0","dependencies":{"__proto__":"1","constructor":"2"},"bin":{"__proto__":"x"}}}',
    );
  });

  test('is compared with the signed one but for deprecation', async () => {
    const inspected = await npm.inspect(await tgz([packageJson({ dependencies: { b: '1', a: '2' } })]));
    const path = 'npm/0000/demo/demo-1.0.0.tgz';
    const signed = inspected.custom.get('npm');
    if (!(signed instanceof Map)) throw new TypeError('no entry');
    const matches = (changes: object, at = path): boolean =>
      npm.entryMatches(
        { path: at, custom: new Map([['npm', new Map([...signed, ...Object.entries(changes)])]]) },
        inspected,
      );
    expect(matches({})).toBe(true);
    expect(
      matches({
        dependencies: new Map([
          ['a', '2'],
          ['b', '1'],
        ]),
      }),
    ).toBe(true);
    expect(matches({ deprecated: 'use other' })).toBe(true);
    expect(matches({ deprecated: true })).toBe(false);
    expect(matches({ dependencies: new Map([['a', '2']]) })).toBe(false);
    expect(matches({ hasInstallScript: true })).toBe(false);
    expect(matches({}, 'npm/0000/demo/demo-1.0.1.tgz')).toBe(false);
    expect(npm.entryMatches({ path, custom: undefined }, inspected)).toBe(false);
    expect(npm.entryMatches({ path, custom: new Map([['npm', 'x']]) }, inspected)).toBe(false);
    expect(npm.entryMatches({ path, custom: new Map([...inspected.custom, ['more', 1]]) }, inspected)).toBe(false);
  });

  test('publishConfig.tag is handed on', async () => {
    expect((await npm.inspect(await tgz([packageJson({ publishConfig: { tag: 'next' } })]))).tag).toBe('next');
  });
});

test('reading is linear in the content', async () => {
  const digest = createHash('sha256');
  const bytes = await tgz([
    packageJson(),
    ...Array.from({ length: 2000 }, (_, i) =>
      file(`package/${i}.js`, digest.copy().update(`${i}`).digest('hex').repeat(20)),
    ),
  ]);
  expect((await readTarball(bytes)).files).toHaveLength(2001);
});

function raw(type: string, name: string, body: Buffer): Buffer {
  const block = Buffer.alloc(512);
  block.write(name, 0);
  block.write('0000644\0', 100);
  block.write(`${body.length.toString(8).padStart(11, '0')}\0`, 124);
  block.write(type, 156);
  block.write('ustar\u000000', 257, 'latin1');
  sum(block);
  return Buffer.concat([block, body, Buffer.alloc((512 - (body.length % 512)) % 512)]);
}

function sum(block: Buffer): void {
  block.fill(0x20, 148, 156);
  const total = block.subarray(0, 512).reduce((all, byte) => all + byte, 0);
  block.write(`${total.toString(8).padStart(6, '0')}\0 `, 148);
}
