// The catalogue: every attack this project has thought of, or met. A bug that
// an attacker could have used gets its entry here first, failing.

import type { Attack } from '../attack.ts';
import { ARBITRARY_INSTALLATION } from './arbitrary-installation.ts';
import { DELEGATION } from './delegation.ts';
import { ENDLESS_DATA } from './endless-data.ts';
import { FAST_FORWARD } from './fast-forward.ts';
import { FORGED_CLAIM } from './forged-claim.ts';
import { FORMAT } from './format.ts';
import { FREEZE } from './freeze.ts';
import { MIRROR } from './mirror.ts';
import { MIX_AND_MATCH } from './mix-and-match.ts';
import { NAMES } from './names.ts';
import { ROLLBACK } from './rollback.ts';
import { THRESHOLD } from './threshold.ts';

/** Every attack; ids are unique. */
export const ATTACKS: readonly Attack[] = [
  ...ARBITRARY_INSTALLATION,
  ...ROLLBACK,
  ...FREEZE,
  ...FAST_FORWARD,
  ...MIX_AND_MATCH,
  ...ENDLESS_DATA,
  ...THRESHOLD,
  ...FORGED_CLAIM,
  ...DELEGATION,
  ...NAMES,
  ...FORMAT,
  ...MIRROR,
];
