// A process that adds one to a number in a folder of trusted state, as often as
// it is told to, by saves over what it has loaded. Started by shared-folder.peer.test.ts.

import { fileState } from '@countersign/client/node';
import { cacheNameOf, utf8, utf8Text } from '@countersign/core';

const [folder = '', count = '0'] = process.argv.slice(2);
const state = fileState(folder);
const name = cacheNameOf('timestamp');

for (let done = 0; done < Number(count); ) {
  const loaded = await state.load(name);
  const next = String(Number(utf8Text(loaded ?? utf8('0'))) + 1);
  if ((await state.save(name, utf8(next), { bytes: loaded })) !== false) done++;
}
