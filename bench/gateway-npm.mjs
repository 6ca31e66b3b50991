// `npm run bench:gateway-npm`: an install of some 70 packages by the machine's
// own npm, in one run: straight from the registry that npm is configured with,
// through a warm gateway that relays the same registry (labelled unverified),
// and through a warm gateway with every package signed by an author and checked.
// npm's own cache is empty each time. Options: --package express@5.1.0 --rounds 5.

import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { openNodeClient, sha256 } from '@countersign/client/node';
import {
  days,
  editTargets,
  openEnvelope,
  ownerRoleName,
  projectDirectory,
  readTargets,
  signFile,
  utf8Text,
} from '@countersign/core';
import { ecosystemOf } from '@countersign/ecosystems';
import { npmRegistryOf, startGateway } from '@countersign/gateway';
import { signClaim, submissionText } from '@countersign/repository';
import { createCollectionFolder, openCollectionFolder, startServer } from '@countersign/server';
import { generateSigner } from '@countersign/signers';
import { machine, median, ms, table } from './measure.mjs';

const { values } = parseArgs({
  options: { package: { type: 'string', default: 'express@5.1.0' }, rounds: { type: 'string', default: '5' } },
});
const scratch = mkdtempSync(join(tmpdir(), 'countersign-bench-'));
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name)));
const closing = [];
try {
  await main();
} finally {
  for (const close of closing.reverse()) await close();
  rmSync(scratch, { recursive: true, force: true });
}

async function main() {
  const { registry, scopes } = await npmRegistryOf({ cwd: scratch, env });
  const first = await install(registry);
  const packages = installedIn(first.project);
  console.log(
    `gateway-npm: npm install ${values.package}, ${packages.length} packages, ${values.rounds} rounds, empty npm cache`,
  );
  console.log(`${machine()}, npm ${execFileSync('npm', ['--version'], { encoding: 'utf8', env }).trim()}`);
  const { url, token, anchor } = await startCollection();
  await publishAll(packages, url, token);
  const verifying = await openGateway('verifying', url, anchor);
  const empty = await startCollection('empty');
  const relaying = await openGateway('relaying', empty.url, empty.anchor, { registry, scopes });
  const ways = [
    ['straight from the registry', registry],
    ['through a gateway, relayed', `${relaying.url}/npm/`],
    ['through a gateway, verified', `${verifying.url}/npm/`],
  ];
  for (const [, way] of ways) await install(way); // warms gateways and whatever stands upstream
  const times = new Map(ways.map(([name]) => [name, []]));
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const [name, way] of ways) times.get(name).push((await install(way)).ms);
  }
  const straight = median(times.get(ways[0][0]));
  table(
    ['way', 'median', 'min', 'max', 'ratio to straight'],
    [...times].map(([name, all]) => [
      name,
      ms(median(all)),
      ms(Math.min(...all)),
      ms(Math.max(...all)),
      (median(all) / straight).toFixed(2),
    ]),
  );
}

async function install(registry) {
  const project = mkdtempSync(join(scratch, 'project-'));
  writeFileSync(join(project, 'package.json'), '{"name":"bench","version":"1.0.0","private":true}');
  const flags = [
    '--registry',
    registry,
    '--cache',
    join(project, '.cache'),
    '--fetch-retries=0',
    '--no-audit',
    '--no-fund',
    '--ignore-scripts',
  ];
  const from = performance.now();
  // Not synchronously: server and gateway answer from this very process.
  await promisify(execFile)('npm', ['install', values.package, ...flags], { cwd: project, env });
  return { project, ms: performance.now() - from };
}

function installedIn(project) {
  const lock = JSON.parse(readFileSync(join(project, 'node_modules', '.package-lock.json'), 'utf8'));
  return Object.keys(lock.packages).map((path) => join(project, path));
}

async function startCollection(name = 'full') {
  const folder = join(scratch, name);
  const passphrases = async () => 'only for this benchmark';
  const { anchor, token } = await createCollectionFolder({ folder, name: 'main', passphrases, clock: Date.now });
  const collection = await openCollectionFolder({ folder, name: 'main', passphrases, clock: Date.now });
  const server = await startServer({ collections: [collection], port: 0 });
  closing.push(() => server.close());
  return { url: `${server.url}/main`, api: `${server.url}/api/v1/main`, token, anchor };
}

async function openGateway(name, url, anchor, relayUnlisted) {
  const folder = join(scratch, `gateway-${name}`);
  const client = await openNodeClient({ url, folder: join(folder, 'client'), anchor });
  const gateway = await startGateway({
    client,
    stateFolder: join(folder, 'state'),
    port: 0,
    ...(relayUnlisted && { relayUnlisted }),
  });
  closing.push(() => gateway.close());
  return gateway;
}

async function publishAll(folders, url, token) {
  const packed = join(scratch, 'packed');
  mkdirSync(packed);
  const flags = ['--json', '--ignore-scripts', '--pack-destination', packed];
  const report = JSON.parse(
    execFileSync('npm', ['pack', ...folders, ...flags], {
      env,
      encoding: 'utf8',
      maxBuffer: 64e6,
      stdio: ['ignore', 'pipe', 'ignore'],
    }),
  );
  const versions = new Map();
  for (const { filename } of report) {
    const bytes = readFileSync(join(packed, filename.replace('@', '').replace('/', '-')));
    const inspected = await ecosystemOf('npm').inspect(bytes);
    const { name } = inspected.project;
    versions.set(name, [...(versions.get(name) ?? []), { bytes, inspected }]);
  }
  const api = url.replace(/\/main$/, '/api/v1/main');
  const signer = generateSigner();
  for (const entries of versions.values()) await publishProject(api, token, signer, entries);
}

async function publishProject(api, token, signer, entries) {
  const expires = Date.now() + days(3650);
  const { project } = entries[0].inspected;
  const role = ownerRoleName(project, 1);
  const headers = { authorization: `Bearer ${token}` };
  const submit = async (file, decisions) => {
    const body = submissionText({ decisions, roles: [{ role, file: utf8Text(file) }] });
    await expectOk(
      await fetch(`${api}/submissions`, {
        method: 'POST',
        headers: { ...headers, 'content-type': 'application/json' },
        body,
      }),
    );
  };
  const first = await signFile(editTargets(undefined, { expires }), [signer]);
  await submit(first, [await signClaim('main', project, [signer])]);
  const set = [];
  let custom;
  for (const { bytes, inspected } of entries) {
    const digest = (algorithm) => createHash(algorithm).update(bytes).digest('hex');
    const hashes = new Map([
      ['sha256', digest('sha256')],
      ['sha512', digest('sha512')],
    ]);
    set.push({
      path: `${projectDirectory(project, sha256)}/${inspected.file}`,
      length: bytes.length,
      hashes,
      custom: inspected.custom,
    });
    custom = ecosystemOf('npm').withPublished(custom, inspected);
    const type = { ...headers, 'content-type': 'application/octet-stream' };
    await expectOk(await fetch(`${api}/blobs/${digest('sha256')}`, { method: 'PUT', headers: type, body: bytes }));
  }
  const previous = readTargets(openEnvelope(first, role).signed, role);
  await submit(
    await signFile(editTargets(previous, { expires, set, members: new Map([['custom', custom]]) }), [signer]),
    [],
  );
}

async function expectOk(response) {
  if (!response.ok) throw new Error(`The server answered ${response.status}: ${await response.text()}`);
  await response.arrayBuffer();
}
