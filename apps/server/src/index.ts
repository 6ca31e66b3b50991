// The public surface of @countersign/server: collections on disk or in
// storage that machines share, and the HTTP service over them.

export {
  type CollectionFolder,
  type CreatedCollection,
  createCollectionFolder,
  createOnlineKey,
  issueToken,
  KEY_NAMES,
  type KeyName,
  keysIn,
  type NewCollection,
  newToken,
  type OpenCollection,
  openCollectionFolder,
  openOfflineKey,
  type Passphrases,
  PLAIN_KEY_NAMES,
  passphrasesOf,
  requireCollectionName,
} from './collection-folder.ts';
export {
  type CollectionStore,
  isCollectionFolder,
  keepPlace,
  placeOf,
  requirePlace,
  type SharedPlace,
  STORE_VARIABLES,
  type StoreSecrets,
  Stores,
  storeSecretsOf,
} from './collection-store.ts';
export type { Health, HealthEvent, Trouble } from './health.ts';
export { type Server, type ServerEvent, type ServerOptions, startServer, type UnservedEvent } from './server.ts';
export { fillTakeoverFolder, type TakeoverFolder, takeoverKeys } from './takeover-folder.ts';
