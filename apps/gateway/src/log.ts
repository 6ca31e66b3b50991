// What the gateway tells its operator: events as data, once each, at the door
// where they happen. Holds codes, paths and versions; never headers or tokens.

import type { Assurance } from './assurance.ts';

/** Something worth a line in a log. */
export type GatewayEvent =
  | { readonly event: 'fresh'; readonly timestamp: number; readonly snapshot: number }
  | {
      readonly event: 'outage' | 'refused' | 'broken' | 'fault';
      readonly code: string;
      readonly message: string;
    }
  | { readonly event: 'owners'; readonly directory: string; readonly message: string }
  | { readonly event: 'stored'; readonly path: string; readonly bytes: number; readonly assurance: Assurance }
  | { readonly event: 'relayed'; readonly name: string; readonly version: string | undefined }
  | {
      readonly event: 'answered';
      readonly method: string;
      readonly path: string;
      readonly status: number;
      readonly code: string | undefined;
      readonly milliseconds: number;
    };

/** Where events go. Must not throw. */
export type Log = (event: GatewayEvent) => void;
