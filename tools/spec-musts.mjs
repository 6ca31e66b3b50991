// @ts-check
// What the specification (1.0.34) demands of the client workflow (§5) and of
// the file formats (§4), each demand once, in our own short words. The number
// after the slash counts within a section. `MUST`: a sentence with that keyword
// (or SHALL, REQUIRED; a negation too); how many there are per section is
// checked against the text. `must`: the same word in lower case. `step`: what
// the workflow tells a client to do without a keyword. Data only.

/**
 * One demand.
 * @typedef {{ section: string, kind: 'MUST' | 'must' | 'step', says: string }} Demand
 */

/** @type {readonly (readonly [section: string, ...demands: readonly string[]])[]} */
const LIST = [
  ['4', 'must: unknown members are part of what is hashed and signed', 'must: unknown members survive a re-write'],
  ['4.2.1', 'MUST: a key id stands once in `signatures`'],
  ['4.2.2', 'MUST: RSA keys have at least 2,048 bits'],
  [
    '4.3',
    'MUST: `spec_version` is checked against the expected one',
    'MUST: no file replaces a trusted one of higher version',
    'MUST: an expired file is not trusted',
    'MUST: root lists all four top-level roles',
    'MUST: a key id is the right one for its key',
    'MUST: clients calculate each key id',
    'MUST: one key id stands for one key, in this file and in others',
    'must: a threshold is a positive integer',
  ],
  [
    '4.4',
    'MUST: the snapshot lists the versions of targets and of all delegated roles',
    'MUST: a limit of our own holds where no length is listed',
    'MUST: a version names one file where no hashes are listed',
  ],
  [
    '4.5',
    'MUST: a role name stands once in `delegations`',
    'MUST: every delegation of the chain covers the target',
    'must: delegations are considered in order of appearance',
    'must: hash prefixes are those of the SHA-256 of the path',
  ],
  ['4.6', 'MUST: the timestamp describes the snapshot only'],
  ['5', 'step: a failed update can be followed by a good one'],
  ['5.1', 'step: the time of an update is fixed at its start'],
  ['5.2', 'step: the update begins with the trusted root, expired or not'],
  [
    '5.3.1',
    'MUST: there is a line of continuity to the latest keys',
    'MUST: every root in between is downloaded, up to the latest',
  ],
  ['5.3.2', 'step: counting begins at the version of the trusted root'],
  [
    '5.3.3',
    'step: a root is read up to W bytes',
    'step: its file name begins with its version',
    'step: no such file ends the walk',
    'step: Y roots end the walk',
  ],
  [
    '5.3.4',
    "MUST: a root is signed by its predecessor's threshold and by its own",
    'MUST: a key contributes one signature',
    'MUST: signatures that count have distinct key ids',
    'MUST: a repeated key id counts once at most',
  ],
  ['5.3.5', 'MUST: the version of the next root is N + 1'],
  ['5.3.6', 'step: an expired root on the way does not matter'],
  ['5.3.7', 'step: the new root becomes the trusted one'],
  ['5.3.8', 'MUST: the root is kept as root.json'],
  ['5.3.9', 'step: the walk goes on from the new root'],
  ['5.3.10', 'MUST: the final root expires after the start time'],
  ['5.3.11', 'step: rotated timestamp or snapshot keys drop both trusted files'],
  ['5.3.12', 'step: the root says whether names are by version'],
  ['5.4.1', 'step: the timestamp is read up to X bytes', 'step: its file name is fixed'],
  [
    '5.4.2',
    "MUST: the timestamp is signed by root's threshold for it",
    'MUST: a key contributes one signature',
    'MUST: signatures that count have distinct key ids',
    'MUST: a repeated key id counts once at most',
  ],
  ['5.4.3.1', 'MUST: the version of the timestamp goes up', 'step: an equal version changes nothing, without an error'],
  ['5.4.3.2', 'MUST: the listed version of the snapshot does not go down'],
  ['5.4.4', 'MUST: the new timestamp expires after the start time'],
  ['5.4.5', 'MUST: the timestamp is kept as timestamp.json'],
  [
    '5.5.1',
    'step: the snapshot is read up to its listed length, or Y',
    'step: its name is by version where root says so',
  ],
  ['5.5.2', 'MUST: the snapshot has the hashes that the timestamp lists'],
  [
    '5.5.3',
    "MUST: the snapshot is signed by root's threshold for it",
    'MUST: a key contributes one signature',
    'MUST: signatures that count have distinct key ids',
    'MUST: a repeated key id counts once at most',
  ],
  ['5.5.4', 'MUST: the snapshot has the version that the timestamp lists'],
  ['5.5.5', 'MUST: no listed version goes down', 'MUST: no listed file disappears'],
  ['5.5.6', 'MUST: the new snapshot expires after the start time'],
  ['5.5.7', 'MUST: the snapshot is kept as snapshot.json'],
  ['5.6.1', 'step: targets is read up to its listed length, or Z', 'step: its name is by version where root says so'],
  ['5.6.2', 'MUST: targets has the hashes that the snapshot lists'],
  [
    '5.6.3',
    'MUST: targets is signed by the threshold of its delegator',
    'MUST: a key contributes one signature',
    'MUST: signatures that count have distinct key ids',
    'MUST: a repeated key id counts once at most',
  ],
  ['5.6.4', 'MUST: targets has the version that the snapshot lists'],
  ['5.6.5', 'MUST: the new targets expires after the start time'],
  ['5.6.6', 'MUST: targets is kept as targets.json'],
  ['5.6.7', 'step: the search is pre-order and depth-first, from the top', 'step: a role that fails ends the search'],
  [
    '5.6.7.1',
    'step: a role is visited once',
    'step: after the most roles allowed, the search goes on as if it had ended',
    'step: a role that lists the target ends the search',
  ],
  ['5.6.7.2', 'step: delegations are searched in order of appearance'],
  ['5.6.7.2.1', 'step: a terminating delegation ends the search after its subtree'],
  ['5.6.7.2.2', 'step: the first result of a delegation ends the search'],
  ['5.7.1', 'step: the target is checked against its metadata'],
  ['5.7.2', 'step: a target that no role lists is reported as such'],
  [
    '5.7.3',
    'MUST: the target is written under its plain name',
    'step: it is read up to its listed length',
    'step: its hashes are checked',
    'step: it is asked for by hash where root says so, else by its plain name',
  ],
];

/** Every demand by its id, such as `5.3.4/2`. @type {ReadonlyMap<string, Demand>} */
export const DEMANDS = new Map(
  LIST.flatMap(([section, ...demands]) =>
    demands.map((text, index) => {
      const [kind, says] = /** @type {[Demand['kind'], string]} */ (text.split(/: (.*)/s, 2));
      return /** @type {const} */ ([`${section}/${index + 1}`, { section, kind, says }]);
    }),
  ),
);
