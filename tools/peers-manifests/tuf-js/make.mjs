// Makes a repository from a plan with tuf-js's own models: its spelling, its
// canonical form, its idea of which bin holds a path. It makes no keys of its
// own, so they are Node's, under ids made as its mock repositories make them.

import { constants, createHash, generateKeyPairSync, sign } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import {
  Key,
  Metadata,
  MetadataKind,
  MetaFile,
  Root,
  Signature,
  Snapshot,
  TargetFile,
  Targets,
  Timestamp,
} from '@tufjs/models';

/** @returns {{}} nothing to say */
export function makeRepository(plan, folder) {
  const { consistentSnapshot, fields } = plan;
  const common = { version: 1, specVersion: '1.0.31', expires: plan.expires, unrecognizedFields: fields };
  const signers = new Map();
  const meta = {};
  const prefix = consistentSnapshot ? '1.' : '';

  const write = (name, bytes) => {
    const file = join(folder, name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, bytes);
  };
  const seal = (role, signed, before) => {
    const metadata = new Metadata(signed);
    for (const signer of signers.get(role)) metadata.sign(signer.sign);
    const bytes = Buffer.from(JSON.stringify(metadata.toJSON()));
    write(join('metadata', `${before}${encodeURIComponent(role)}.json`), bytes);
    return bytes;
  };
  const listed = (bytes) => {
    const full = { length: bytes.length, hashes: { sha256: digest('sha256', bytes) } };
    return new MetaFile({ version: 1, ...(plan.listing === 'full' && full) });
  };
  const generate = (role, kinds) => {
    signers.set(role, kinds.map(signerOf));
    return signers.get(role).map(({ key }) => key);
  };
  const addTarget = (targets, path, content) => {
    const bytes = Buffer.from(content);
    const hashes = { sha256: digest('sha256', bytes), sha512: digest('sha512', bytes) };
    targets.addTarget(new TargetFile({ path, length: bytes.length, hashes, unrecognizedFields: fields }));
    const at = path.lastIndexOf('/') + 1;
    const before = consistentSnapshot ? Object.values(hashes).map((hash) => `${hash}.`) : [''];
    for (const hash of before) write(join('targets', path.slice(0, at), `${hash}${path.slice(at)}`), bytes);
  };
  const putTargets = (name, targets) => {
    meta[`${name}.json`] = listed(seal(name, targets, prefix));
  };
  const makeTargets = ({ name, targets, delegations = [], succinct }) => {
    const keys = [];
    const named = (holder, kinds) => {
      const made = generate(holder, kinds);
      keys.push(...made);
      return { keyids: made.map((key) => key.keyID), threshold: made.length };
    };
    const roles = delegations.map(({ name: holder, keys: kinds, prefixes, ...rest }) => {
      return { name: holder, ...rest, ...named(holder, kinds), ...(prefixes && { path_hash_prefixes: prefixes }) };
    });
    const bins = succinct && {
      ...named(succinct.namePrefix, succinct.keys),
      bit_length: succinct.bitLength,
      name_prefix: succinct.namePrefix,
    };
    // Delegations are read from JSON: their classes are not exported.
    const json = new Targets(common).toJSON();
    if (keys.length > 0) {
      const keyMap = Object.fromEntries(keys.map((key) => [key.keyID, key.toJSON()]));
      json.delegations = { keys: keyMap, ...(bins ? { succinct_roles: bins } : { roles }) };
    }
    const made = Targets.fromJSON(json);
    for (const [path, content] of Object.entries(targets)) addTarget(made, path, content);
    for (const bin of made.delegations?.succinctRoles?.getRoles() ?? []) {
      // Every bin, with each target where tuf-js looks for it.
      const held = new Targets(common);
      for (const [path, content] of Object.entries(succinct.targets)) {
        if (made.delegations.succinctRoles.getRoleForTarget(path) === bin) addTarget(held, path, content);
      }
      signers.set(bin, signers.get(succinct.namePrefix));
      putTargets(bin, held);
    }
    putTargets(name, made);
  };

  const root = new Root({ ...common, consistentSnapshot });
  for (const [role, kinds] of Object.entries(plan.keys)) {
    for (const key of generate(role, kinds)) root.addKey(key, role);
  }
  // Its roles keep the threshold that they were made with: one, unless read from JSON.
  const json = root.toJSON();
  for (const [role, kinds] of Object.entries(plan.keys)) json.roles[role].threshold = kinds.length;
  for (const role of plan.roles) makeTargets(role);
  const snapshot = seal('snapshot', new Snapshot({ ...common, meta }), prefix);
  seal('timestamp', new Timestamp({ ...common, snapshotMeta: listed(snapshot) }), '');
  write('root.json', seal(MetadataKind.Root, Root.fromJSON(json), '1.'));
  return {};
}

function signerOf(kind) {
  const { privateKey, publicKey } = GENERATE[kind]();
  const [keyType, scheme] = NAMES[kind];
  const pem = publicKey.export({ type: 'spki', format: 'pem' });
  const raw = publicKey.export({ type: 'spki', format: 'der' }).subarray(-32).toString('hex');
  const keyVal = { public: kind === 'ed25519' ? raw : pem };
  const keyID = digest('sha256', Buffer.from(JSON.stringify({ keyType, scheme, keyVal })));
  const key = new Key({ keyID, keyType, scheme, keyVal });
  const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 };
  const made = kind === 'rsa' ? { key: privateKey, ...pss } : privateKey;
  const hash = kind === 'ed25519' ? null : 'sha256';
  return { key, sign: (bytes) => new Signature({ keyID, sig: sign(hash, bytes, made).toString('hex') }) };
}

function digest(algorithm, bytes) {
  return createHash(algorithm).update(bytes).digest('hex');
}

const GENERATE = {
  ed25519: () => generateKeyPairSync('ed25519'),
  ecdsa: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  rsa: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
};
const NAMES = {
  ed25519: ['ed25519', 'ed25519'],
  ecdsa: ['ecdsa', 'ecdsa-sha2-nistp256'],
  rsa: ['rsa', 'rsassa-pss-sha256'],
};
