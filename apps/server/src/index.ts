// The public surface of @countersign/server: collections on disk, and the HTTP
// service over them.

export {
  type CollectionFolder,
  type CreatedCollection,
  createCollectionFolder,
  issueToken,
  KEY_NAMES,
  type KeyName,
  type NewCollection,
  type OpenCollection,
  openCollectionFolder,
  openOfflineKey,
  type Passphrases,
  passphrasesOf,
  requireCollectionName,
} from './collection-folder.ts';
export { type Server, type ServerEvent, type ServerOptions, startServer } from './server.ts';
