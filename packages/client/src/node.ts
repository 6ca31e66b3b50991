// The subpath @countersign/client/node: the ports of a client on Node, and a client
// made of them.

export { nodeCrypto, sha256 } from './node/crypto.ts';
export { fileSink } from './node/file-sink.ts';
export { fileState } from './node/file-state.ts';
export { type HttpOptions, httpTransport } from './node/http-transport.ts';
export { type NodeClientOptions, openNodeClient } from './node/open.ts';
