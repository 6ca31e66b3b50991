// The machine's own npm, unmodified, as a test drives it: its own cache and
// prefix each time, no retries, and none of the settings that a surrounding
// `npm test` hands to its children.

import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';

/** How an npm command ended. */
export interface NpmResult {
  readonly code: number;
  /** Everything it printed. */
  readonly output: string;
}

/** Runs npm. Never throws for a failed command. */
export function npm(cwd: string, args: readonly string[]): Promise<NpmResult> {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name)));
  return new Promise((resolve) => {
    execFile('npm', args, { cwd, env, timeout: 120_000, maxBuffer: 16 * 1024 * 1024 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 1;
      resolve({ code, output: `${stdout}\n${stderr}` });
    });
  });
}

/** Packs an installed package the way its author would; gives the tarball's path. */
export async function pack(installed: string, folder: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  const { code, output } = await npm(folder, [
    'pack',
    installed,
    '--json',
    '--ignore-scripts',
    '--pack-destination',
    folder,
  ]);
  const file = /"filename":\s*"([^"]+\.tgz)"/.exec(output)?.[1];
  if (code !== 0 || file === undefined) throw new Error(`npm pack ${installed} failed:\n${output}`);
  return join(folder, file.replace('@', '').replace('/', '-'));
}

/** Installs into a new, empty project; gives the result and where the project is. */
export async function install(
  scratch: string,
  registry: string | undefined,
  ...packages: readonly string[]
): Promise<NpmResult & { readonly project: string }> {
  const project = await mkdtemp(join(scratch, 'project-'));
  await writeFile(join(project, 'package.json'), '{"name":"somebody","version":"1.0.0","private":true}');
  const result = await npm(project, [
    'install',
    ...packages,
    ...(registry === undefined ? ['--offline'] : ['--registry', registry]),
    '--cache',
    join(project, '.cache'),
    '--fetch-retries=0',
    '--no-audit',
    '--no-fund',
    '--ignore-scripts',
    '--no-update-notifier',
  ]);
  return { ...result, project };
}

/** Every file below a folder with its content, by path. */
export async function filesIn(folder: string): Promise<ReadonlyMap<string, string>> {
  const files = new Map<string, string>();
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    files.set(relative(folder, path), (await readFile(path)).toString('base64'));
  }
  return files;
}
