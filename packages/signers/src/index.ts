// The public surface of @countersign/signers: private-key holders behind
// core's one interface, `Signer`. Keys kept in files are at the subpath `./file`.

export { generateSigner, type KeyType, signerFromPrivateKey } from './private-key.ts';
