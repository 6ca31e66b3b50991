// A small world for tests: seeded keys, a quorum of three, a register whose
// clock is an argument, and makers for every decision. Real signatures; with
// `cheapCrypto` ones that cost nothing, for exploring thousands of states.

import { createHash } from 'node:crypto';
import {
  type CheckEffect,
  days,
  hex,
  type Instant,
  type Key,
  type KeyId,
  type Project,
  type Signer,
  type SyncCryptoPort,
  utf8,
} from '@countersign/core';
import { nodeCrypto } from '@countersign/client/node';
import { seededKey } from '@countersign/testkit';
