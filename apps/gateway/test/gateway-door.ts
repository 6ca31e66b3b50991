// The gateway as a door of the attack catalogue: a victim who has nothing but
// HTTP. What the gateway says is taken at its word: the code is that of
// X-TUF-Error, and a refusal must come as the status that the contract has.

import { strict as assert } from 'node:assert';
import { CODES, type Code, isTufError, rowOf, targetPathOf } from '@countersign/core';
import type { Door, Outcome, Session } from '@countersign/testkit';
import { type Heard, House } from './house.ts';

/** A door with one gateway behind it at a time, which ends with `close`. */
export interface GatewayDoor extends Door {
  close(): Promise<void>;
}

/** Makes a door. */
export function gatewayDoor(): GatewayDoor {
  const opened: House[] = [];
  return {
    ...DOOR,
    open: async (world) => {
      const house = await House.build(world);
      opened.push(house);
      return sessionOf(house);
    },
    close: async () => {
      for (const house of opened.splice(0)) await house.tearDown();
    },
  };
}

function sessionOf(house: House): Session {
  const downloads = new Map<string, Uint8Array>();
  const ask = async (path: string): Promise<Heard | Outcome> => {
    try {
      return await house.ask(path);
    } catch (error) {
      if (isTufError(error)) return { code: error.code, error }; // its anchor does not let it start
      throw error;
    }
  };
  return {
    refresh: async () => outcomeOf(await ask('/npm/-/ping')),
    fetch: async (path) => {
      const outcome = outcomeOf(await ask(`/targets/${path.split('/').map(encodeURIComponent).join('/')}`));
      if (outcome.code !== 'OK') return outcome;
      const bytes = new Uint8Array(outcome.bytes ?? []);
      downloads.set(path, bytes);
      return { ...outcome, bytes };
    },
    restart: () => house.stop(),
    kept: house.state.files,
    downloads,
  };
}

function outcomeOf(heard: Heard | Outcome): Outcome {
  if (!('status' in heard)) return heard;
  if (heard.status === 200) return { code: 'OK', bytes: heard.bytes };
  const code = Object.keys(CODES).find((known): known is Code => known === heard.code);
  assert.ok(code, `${heard.status} ${heard.reason} carries no code`);
  const wanted = { metadata: code === 'TARGET_UNKNOWN' ? 404 : 403, transport: 502 };
  const { party } = rowOf(code);
  if (party === 'metadata' || party === 'transport') assert.equal(heard.status, wanted[party], heard.reason);
  assert.ok(heard.reason.startsWith(`TUF ${code}: `) && heard.reason.length <= 120, heard.reason);
  return { code, error: heard.json };
}

const DOOR = {
  name: 'gateway',
  // What is no target path is no address either: the gateway refuses it unasked.
  reaches: (path) => targetPathOf(path) !== undefined,
  // A client of the gateway hears more about a file that is not there.
  instead: { TARGET_UNKNOWN: ['NAME_UNLISTED', 'NAME_HIDDEN'] },
} satisfies Omit<Door, 'open'>;
