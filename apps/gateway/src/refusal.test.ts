// The error contract for every code there is: a status line that cannot be
// broken, and a status that package clients show instead of retrying.

import { CODES, type Code, MetadataError } from '@countersign/core';
import { describe, expect, it } from 'vitest';
import { reasonOf, refusalOf, statusOf } from './refusal.ts';

const codes = Object.keys(CODES) as Code[];

describe('refusals', () => {
  it.each(codes)('%s fits a status line, and is 5xx only for outages and this machine', (code) => {
    expect(reasonOf(code)).toMatch(new RegExp(`^TUF ${code}: [\\x20-\\x7e]+$`));
    expect(reasonOf(code).length).toBeLessThanOrEqual(120);
    const { party } = CODES[code];
    const status = statusOf(code);
    if (party === 'transport') expect(status).toBe(502);
    else if (party === 'store') expect(status).toBeGreaterThanOrEqual(500);
    else expect(status).toBe(code === 'TARGET_UNKNOWN' ? 404 : 403);
  });

  it('what comes from outside cannot break a header', () => {
    const error = new MetadataError('ROLLBACK', 'a\r\nset-cookie: b\u{1f984}', { detail: { role: 'x\r\ny' } });
    const { headers, reason, body } = refusalOf(error);
    for (const text of [reason ?? '', ...Object.values(headers)]) expect(text).toMatch(/^[\x20-\x7e]*$/);
    expect(body.kind === 'bytes' && JSON.parse(Buffer.from(body.bytes).toString())).toMatchObject({
      code: 'ROLLBACK',
      detail: { role: 'x\r\ny' },
    });
  });
});
