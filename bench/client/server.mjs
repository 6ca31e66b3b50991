// The static server of the client benchmark, in a process of its own, so that
// no client is measured together with it. Forked with a folder; says its port.
// Files in full, nothing else: no ranges, no compression, no cache.

import { createReadStream, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { join, normalize } from 'node:path';

const folder = process.argv[2] ?? '.';

const server = createServer((request, response) => {
  const path = normalize(decodeURIComponent(new URL(request.url ?? '/', 'http://localhost').pathname));
  const file = join(folder, path);
  const length = statSync(file, { throwIfNoEntry: false })?.size;
  if (length === undefined || path.endsWith('/')) {
    response.writeHead(404, { 'content-length': 0 }).end();
    return;
  }
  response.writeHead(200, { 'content-length': length, 'content-type': 'application/octet-stream' });
  createReadStream(file, { highWaterMark: 2 ** 18 }).pipe(response);
});
server.keepAliveTimeout = 60_000;
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (address !== null && typeof address === 'object') process.send?.({ port: address.port });
});
process.on('disconnect', () => process.exit(0));
