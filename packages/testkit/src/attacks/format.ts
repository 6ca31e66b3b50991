// Malformed metadata, well signed: what is not strict JSON, not of the right
// type or shape, must be refused with its own code and change nothing (§4).

import type { Code, JsonLiteral } from '@countersign/core';
import type { Attack } from '../attack.ts';
import type { Tamper } from '../drafts.ts';
import { MS } from '../registry-world.ts';
import type { World } from '../world.ts';
import { ANNOUNCED, keptUpTo, member } from './moves.ts';

type Path = readonly [string, ...(string | number)[]];

const TARGET: Path = ['targets', MS.path];

export const FORMAT: readonly Attack[] = [
  // What no tree can say: the strict reader refuses it wherever it stands.
  text('fraction', 'a fractional version', (t) => version(t, '2.5')),
  text('whole-fraction', 'a version of 2.0', (t) => version(t, '2.0')),
  text('exponent', 'a version of 1e2', (t) => version(t, '1e2')),
  text('minus-zero', 'a version of -0', (t) => version(t, '-0')),
  text('leading-zero', 'a version of 02', (t) => version(t, '02')),
  text('unsafe-integer', 'a version of 2^53', (t) => version(t, '9007199254740992')),
  text('nan', 'a version of NaN', (t) => version(t, 'NaN')),
  text('duplicate-key', 'a version given twice', (t) => version(t, '2,"version":2')),
  text('duplicate-key-escaped', 'a version given twice, once spelled with an escape', (t) =>
    version(t, '2,"versio\\u006e":2'),
  ),
  text('deep-nesting', 'arrays within arrays, a thousand deep', (t) =>
    version(t, `2,"x":${'['.repeat(1000)}${']'.repeat(1000)}`),
  ),
  text('lone-surrogate', 'half of a surrogate pair', (t) => version(t, '2,"x":"\\ud800"')),
  text('control-character', 'a raw line break in a string', (t) => version(t, '2,"x":"\n"')),
  text('trailing-comma', 'a comma before the brace', (t) => version(t, '2,')),
  text('comment', 'a comment', (t) => version(t, '2/* two */')),
  file('not-json', 'an HTML page', () => '<html>moved</html>'),
  file('empty', 'nothing', () => ''),
  file('truncated', 'the first half', (t) => t.slice(0, t.length / 2)),
  file('two-documents', 'two documents', (t) => t + t),
  file('byte-order-mark', 'a byte order mark in front', (t) => `\ufeff${t}`),
  file('array', 'an array around it', (t) => `[${t}]`),
  file('signed-twice', 'two members called signed', (t) => t.replace(/}$/, ',"signed":{}}')),
  file('null', 'null', () => 'null'),
  file(
    'signed-null',
    'null where signed belongs',
    (t) => t.replace(/"signed":.*$/s, '"signed":null}'),
    'FORMAT_INVALID',
  ),
  file(
    'signatures-null',
    'null where signatures belong',
    (t) => t.replace(/"signatures":\[.*?\]/s, '"signatures":null'),
    'FORMAT_INVALID',
  ),
  file(
    'signature-null',
    'null where a signature belongs',
    (t) => t.replace(/"signatures":\[.*?\]/s, '"signatures":[null]'),
    'FORMAT_INVALID',
  ),
  file('no-signatures', 'no signatures member', (t) => t.replace(/"signatures":\[.*?\],/s, ''), 'FORMAT_INVALID'),
  // White space and order are the sender's own business, and change nothing.
  {
    id: 'format/pretty-printed',
    title: 'a timestamp with white space and another order of members, which is no attack',
    spec: ['4.2.1'],
    steps: (world) => [
      {
        move: () => {
          world.timestamp.members.set('an unknown member', { '\u{1f984}': [1, null, true], '\uffff': 'x' });
          world.timestamp.tamper = { text: (t) => t.replace('{', '{\n  ').replaceAll(',"', ' ,\n"') };
          world.publish();
        },
        action: { fetch: MS.path },
        kept: { timestamp: 2 },
      },
    ],
  },
  ...['root', 'timestamp', 'snapshot', 'targets', MS.release].flatMap((role) => [
    wrong(
      role,
      'type',
      'is of another type',
      ['_type'],
      role === 'targets' ? 'snapshot' : 'mirrors',
      'ROLE_TYPE_WRONG',
    ),
    wrong(role, 'type-proto', 'is of type __proto__', ['_type'], '__proto__', 'ROLE_TYPE_WRONG'),
    wrong(role, 'type-missing', 'has no type', ['_type'], undefined),
    wrong(role, 'spec-2', 'follows specification 2.0.0', ['spec_version'], '2.0.0', 'SPEC_VERSION_UNSUPPORTED'),
    wrong(role, 'spec-missing', 'names no specification', ['spec_version'], undefined),
    wrong(role, 'version-missing', 'has no version', ['version'], undefined),
    wrong(role, 'version-zero', 'has version 0', ['version'], 0),
    wrong(role, 'version-negative', 'has version -1', ['version'], -1),
    wrong(role, 'version-text', 'has its version in quotes', ['version'], '2'),
    wrong(role, 'expires-missing', 'never expires', ['expires'], undefined),
    wrong(role, 'expires-impossible', 'expires on 30 February', ['expires'], '2031-02-30T00:00:00Z'),
    wrong(role, 'expires-zone', 'expires in another time zone', ['expires'], '2031-01-01T00:00:00+01:00'),
    wrong(role, 'expires-number', 'expires at a number', ['expires'], 1_900_000_000),
  ]),
  {
    id: 'format/type-of-another-role-replayed',
    title: 'the targets role is served as the release role, which the same key could have signed',
    spec: ['5.6.3'],
    steps: (world) => [
      {
        move: () => {
          world.role(MS.release).listing = 'version';
          world.role(MS.release).tamper = member(['_type'], 'root');
          world.publish();
        },
        action: { fetch: MS.path },
        code: 'ROLE_TYPE_WRONG',
        kept: ANNOUNCED,
      },
    ],
  },
  ...(
    [
      ['root', ['roles']],
      ['root', ['roles', 'timestamp']],
      ['root', ['roles', 'root', 'keyids']],
      ['root', ['keys']],
      ['timestamp', ['meta']],
      ['timestamp', ['meta', 'snapshot.json']],
      ['snapshot', ['meta']],
      ['snapshot', ['meta', 'targets.json']],
      ['snapshot', ['meta', 'targets.json', 'hashes']],
      ['targets', ['targets']],
      ['targets', ['delegations']],
      ['targets', ['delegations', 'keys']],
      ['targets', ['delegations', 'roles']],
      ['targets', ['delegations', 'roles', 0]],
      ['targets', ['delegations', 'roles', 0, 'paths']],
      [MS.release, TARGET],
      [MS.release, [...TARGET, 'hashes']],
      [MS.release, [...TARGET, 'length']],
      [MS.release, [...TARGET, 'custom']],
    ] as const
  ).flatMap(([role, path]) => [
    wrong(
      role,
      `${path.length > 1 ? `${path[0]}-` : ''}${String(path.at(-1)).split('/').at(-1)}-null`,
      `has null for ${path.join(' ')}`,
      path,
      null,
    ),
  ]),
  wrong('root', 'role-missing', 'has no snapshot role', ['roles', 'snapshot'], undefined),
  wrong('root', 'consistent-snapshot-text', 'has a text for consistent_snapshot', ['consistent_snapshot'], 'true'),
  wrong('timestamp', 'meta-more', 'describes another file beside the snapshot', ['meta', 'root.json'], { version: 1 }),
  wrong('timestamp', 'meta-empty', 'describes nothing', ['meta'], {}),
  wrong('snapshot', 'meta-without-json', 'describes a file that is no .json', ['meta', 'x'], { version: 1 }),
  wrong('snapshot', 'meta-version-zero', 'lists version 0', ['meta', 'targets.json', 'version'], 0),
  wrong('snapshot', 'meta-length-negative', 'lists a negative length', ['meta', 'targets.json', 'length'], -1),
  wrong('snapshot', 'meta-hashes-empty', 'lists no hash in its hashes', ['meta', 'targets.json', 'hashes'], {}),
  wrong(MS.release, 'paths-and-prefixes', 'delegates by paths and by hashes at once', ['delegations'], {
    keys: {},
    roles: [{ name: 'x', keyids: [], threshold: 1, paths: ['*'], path_hash_prefixes: ['0'] }],
  }),
  wrong(MS.release, 'neither-paths-nor-prefixes', 'delegates nothing', ['delegations'], {
    keys: {},
    roles: [{ name: 'x', keyids: [], threshold: 1 }],
  }),
  wrong(MS.release, 'succinct-and-roles', 'delegates to bins and to roles at once', ['delegations'], {
    keys: {},
    roles: [],
    succinct_roles: { keyids: [], threshold: 1, bit_length: 4, name_prefix: 'bin' },
  }),
  wrong(MS.release, 'succinct-of-33-bits', 'delegates to 2^33 bins', ['delegations'], {
    keys: {},
    succinct_roles: { keyids: [], threshold: 1, bit_length: 33, name_prefix: 'bin' },
  }),
  wrong(MS.release, 'length-negative', 'lists a target of a negative length', [...TARGET, 'length'], -1),
  wrong(MS.release, 'hashes-empty', 'lists a target with no hash', [...TARGET, 'hashes'], {}),
  wrong(MS.release, 'hash-number', 'lists a target whose hash is a number', [...TARGET, 'hashes', 'sha256'], 1),
  {
    id: 'format/announced-by-md5-only',
    title: 'the timestamp announces the snapshot by md5 only',
    spec: ['5.5.2'],
    steps: (world) => [
      {
        move: () => {
          world.snapshot.expires += 1000;
          world.timestamp.tamper = member(['meta', 'snapshot.json', 'hashes'], {
            md5: 'd41d8cd98f00b204e9800998ecf8427e',
          });
          world.publish();
        },
        action: 'refresh',
        code: 'HASH_UNSUPPORTED',
        kept: { timestamp: 2 },
      },
    ],
  },
  target('md5-only', 'only an md5', 'HASH_UNSUPPORTED', { md5: 'd41d8cd98f00b204e9800998ecf8427e' }),
  target('unknown-only', 'only a hash nobody knows', 'HASH_UNSUPPORTED', { 'blake9-1024': '00', constructor: '00' }),
  target('short', 'a sha256 of three digits', 'FORMAT_INVALID', { sha256: 'abc' }),
  target('path', 'a sha256 that is a path', 'FORMAT_INVALID', { sha256: '../../../etc/passwd' }),
];

/** The text of a timestamp's `signed` is changed before it is signed. */
function text(what: string, title: string, change: (text: string) => string): Attack {
  return announced(what, title, 'timestamp', { text: change }, 'JSON_INVALID');
}

/** The text of a timestamp's file is changed. */
function file(what: string, title: string, change: (text: string) => string, code: Code = 'JSON_INVALID'): Attack {
  return announced(what, title, 'timestamp', { file: change }, code);
}

/** A member of a role is replaced, taken out, or added. */
function wrong(
  role: string,
  what: string,
  title: string,
  path: Path,
  value: JsonLiteral | undefined,
  code: Code = 'FORMAT_INVALID',
): Attack {
  return announced(`${role}-${what}`, `${role} ${title}`, role, member(path, value), code);
}

function announced(what: string, title: string, role: string, tamper: Tamper, code: Code): Attack {
  return {
    id: `format/${what}`,
    title: role === 'timestamp' && !title.startsWith('timestamp') ? `a timestamp with this in it: ${title}` : title,
    spec: what.startsWith('timestamp-meta-') ? ['4.6/1'] : ['4.3'],
    steps: (world) => [
      {
        move: () => publishTampered(world, role, tamper),
        action: { fetch: MS.path },
        code,
        kept: keptUpTo(role),
      },
    ],
  };
}

function publishTampered(world: World, role: string, tamper: Tamper): void {
  if (role === 'root') {
    world.serve('root', world.seal('root', { version: 2, tamper }), 2);
    return;
  }
  (role === 'timestamp' || role === 'snapshot' ? world[role] : world.role(role)).tamper = tamper;
  world.publish();
}

/** A target's hashes are such that nobody can check it. */
function target(what: string, title: string, code: Code, hashes: Readonly<Record<string, string>>): Attack {
  return {
    id: `format/target-hash-${what}`,
    title: `a target has ${title}`,
    spec: ['5.7.3'],
    steps: (world) => [
      {
        move: () => {
          world.role(MS.release).tamper = member([...TARGET, 'hashes'], hashes);
          world.publish();
        },
        action: { fetch: MS.path },
        code,
        // An unknown hash is no reason to refuse the role, a malformed one is.
        kept: code === 'FORMAT_INVALID' ? ANNOUNCED : { ...ANNOUNCED, [MS.release]: 2 },
      },
    ],
  };
}

function version(text: string, value: string): string {
  return text.replace(/"version":2}$/, `"version":${value}}`);
}
