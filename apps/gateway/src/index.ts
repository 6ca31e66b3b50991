// The public surface of @countersign/gateway: start one, and ask npm which
// registry unlisted names may come from. Start reading at gateway.ts.

export { type Change, changeOf, type Speaker, speakerOf } from './continuity.ts';
export { type Gateway, type GatewayOptions, startGateway } from './gateway.ts';
export { KnownOwners, type OwnerChange, type OwnerPolicy, sentenceOf } from './known-owners.ts';
export type { GatewayEvent, Log } from './log.ts';
export { type NpmRegistries, npmRegistryOf } from './npm-registry.ts';
export type { RelayOptions } from './relay.ts';
