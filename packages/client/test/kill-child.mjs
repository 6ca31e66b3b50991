// A process that refreshes and downloads on a real folder, and is killed, as by
// the kernel, at its k-th change of the file system: before it is made, or in
// the middle of a write. Started by kill.peer.test.ts; uses what was built.

import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

const { folder, destination, path, at, files, anchor } = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));
const served = new Map(Object.entries(files).map(([url, bytes]) => [url, Buffer.from(bytes, 'base64')]));
const steps = [];

/** Counts a step; at the k-th the process is no more. */
function step(name, half) {
  steps.push(name);
  if (steps.length - 1 !== at) return;
  half?.();
  process.kill(process.pid, 'SIGKILL');
  for (;;); // until the signal has come
}

const { openSync, writeFileSync, writeSync } = fs;
for (const name of ['mkdirSync', 'renameSync', 'rmSync', 'unlinkSync', 'linkSync', 'fsync', 'fsyncSync', 'writeSync']) {
  const real = fs[name];
  fs[name] = (...args) => {
    step(name);
    return real(...args);
  };
}
fs.openSync = (...args) => {
  if (args[1] !== undefined && args[1] !== 'r') step('openSync');
  return openSync(...args);
};
fs.writeFileSync = (file, bytes, ...rest) => {
  step('writeFileSync', () => writeFileSync(file, bytes.slice(0, bytes.length / 2), ...rest));
  return writeFileSync(file, bytes, ...rest);
};
const { open } = fs.promises;
fs.promises.open = async (...args) => {
  if (args[1] !== undefined && args[1] !== 'r') step('open');
  const handle = await open(...args);
  const write = handle.write.bind(handle);
  handle.write = async (bytes, offset = 0) => {
    step('write', () => writeSync(handle.fd, bytes.subarray(offset, (offset + bytes.length) / 2)));
    return await write(bytes, offset);
  };
  for (const name of ['sync', 'datasync']) {
    const real = handle[name].bind(handle);
    handle[name] = async () => {
      step(name);
      return await real();
    };
  }
  return handle;
};
for (const name of ['mkdir', 'rename', 'rm', 'unlink', 'link', 'writeFile']) {
  const real = fs.promises[name];
  fs.promises[name] = async (...args) => {
    step(name);
    return await real(...args);
  };
}
syncBuiltinESMExports();

const { fileSink, openNodeClient } = await import('../dist/node.js');
const client = await openNodeClient({
  url: 'https://world.test/',
  folder,
  anchor: Buffer.from(anchor, 'base64'),
  clock: () => Date.UTC(2030, 0, 1),
  transport: {
    async get(url) {
      const bytes = served.get(url.slice('https://world.test/'.length));
      return { status: bytes === undefined ? 404 : 200, body: bodyOf(bytes ?? Buffer.alloc(0)) };
    },
  },
});
await client.refresh();
const found = await client.find(path);
await client.download(found.target, fileSink(destination));
process.stdout.write(JSON.stringify(steps));

async function* bodyOf(bytes) {
  for (let start = 0; start < bytes.length; start += 65_536) yield bytes.subarray(start, start + 65_536);
}
