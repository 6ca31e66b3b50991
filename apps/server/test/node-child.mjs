// The process behind NodeProcess: opens a collection and serves it until it is
// killed, or its parent is gone.

import { openCollectionFolder, Stores, startServer } from '@countersign/server';

process.on('disconnect', () => process.exit(1));
const { folder, name, instead, secrets = {}, retryEvery, ...given } = JSON.parse(process.argv[2] ?? '{}');
let { offset = 0 } = given;
process.on('message', (message) => {
  offset = message.offset;
  process.send?.({ set: true });
});
const clock = () => Date.now() + offset;
const log = (event) => process.send?.({ event });
const passphrases = async () => 'only for the proof';
try {
  const stores = new Stores(secrets, instead);
  const collection = await openCollectionFolder({ folder, name, passphrases, clock, log, stores });
  const server = await startServer({
    collections: [collection],
    port: 0,
    clock,
    log,
    ...(retryEvery && { retryEvery }),
  });
  process.send?.({ url: server.url });
} catch (error) {
  process.send?.({ failure: `${error.code ?? ''} ${error.message}` }, () => process.exit(1));
}
