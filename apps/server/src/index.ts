// The public surface of @countersign/server: collections on disk or in
// storage that machines share, and the HTTP service over them.

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
export {
  type CollectionStore,
  isCollectionFolder,
  placeOf,
  requirePlace,
  type SharedPlace,
  STORE_VARIABLES,
  type StoreSecrets,
  Stores,
  storeSecretsOf,
} from './collection-store.ts';
export type { Health, HealthEvent, Trouble } from './health.ts';
export { type Server, type ServerEvent, type ServerOptions, startServer } from './server.ts';
