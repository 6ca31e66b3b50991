// The public surface of @countersign/client on any runtime. Start reading at
// client.ts. What needs Node is at the subpath `./node`.

export { Client, type ClientOptions, type DownloadOptions } from './client.ts';
export { memoryState } from './memory-state.ts';
export { collectionUrls } from './mirror.ts';
export type { ClientCrypto, Sink, Transport, TransportRequest, TransportResponse } from './ports.ts';
