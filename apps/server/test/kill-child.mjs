// The victim of the kill proof: opens a collection's folder and serves it until
// it is killed, or its parent is gone. Run with the folder as its argument.

import { openCollectionFolder, startServer } from '@countersign/server';

process.on('disconnect', () => process.exit(1));
const [folder = ''] = process.argv.slice(2);
const passphrases = async () => 'only for the kill proof';
const collection = await openCollectionFolder({ folder, name: 'main', passphrases, clock: Date.now });
const server = await startServer({ collections: [collection], port: 0 });
process.send?.({ url: server.url });
