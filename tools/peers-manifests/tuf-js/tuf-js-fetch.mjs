// Fetches one target with tuf-js and says in one line of JSON how it went.
// Arguments: metadata URL, targets URL, trusted root file, target path, out folder.
// State is kept in out/metadata, so that a second run starts from the first; the
// file goes to out/targets. Fetches and reports, judges nothing: every failure is
// the peer's own error, by class. Exit code 0 when the file is there, else 1.

import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Updater } from 'tuf-js';

async function fetchTarget([metadataBaseUrl, targetBaseUrl, rootFile, targetPath, out]) {
  const metadataDir = join(out, 'metadata');
  const targetDir = join(out, 'targets');
  mkdirSync(metadataDir, { recursive: true });
  mkdirSync(targetDir, { recursive: true });
  // It trusts the root.json that it finds.
  if (!existsSync(join(metadataDir, 'root.json'))) copyFileSync(rootFile, join(metadataDir, 'root.json'));
  // It joins URLs with a slash of its own.
  const [metadata, targets] = [metadataBaseUrl, targetBaseUrl].map((url) => url.replace(/\/+$/, ''));
  const config = { fetchRetry: false, fetchTimeout: 20_000 };
  const updater = new Updater({ metadataDir, metadataBaseUrl: metadata, targetDir, targetBaseUrl: targets, config });
  await updater.refresh();
  const target = await updater.getTargetInfo(targetPath);
  if (target === undefined) return { ok: false, error: 'TargetNotFound', message: targetPath };
  const path = await updater.downloadTarget(target);
  const content = readFileSync(path);
  const sha256 = createHash('sha256').update(content).digest('hex');
  return { ok: true, path, length: content.length, sha256 };
}

const answer = await fetchTarget(process.argv.slice(2)).catch((error) => ({
  ok: false,
  error: error.constructor.name,
  message: String(error.message),
}));
console.log(JSON.stringify(answer));
process.exitCode = answer.ok ? 0 : 1;
