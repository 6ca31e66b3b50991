import { describe, expect, test } from 'vitest';
import { CODES, type Code } from './codes.ts';
import {
  AdmissionError,
  errorOf,
  isCode,
  isTufError,
  LogError,
  MetadataError,
  nextStepOf,
  rowOf,
  SignerError,
  StoreError,
  TransportError,
  TufError,
  UsageError,
} from './errors.ts';

const CLASSES = {
  metadata: MetadataError,
  transport: TransportError,
  store: StoreError,
  log: LogError,
  signer: SignerError,
  admission: AdmissionError,
  usage: UsageError,
};
const codes = Object.keys(CODES) as Code[];

describe('the table of codes', () => {
  test.each(codes)('%s has its party’s class, a status, an exit code and two sentences', (code) => {
    const { party, http, exit, sentence, next } = rowOf(code);
    const error = errorOf(code, 'Trying: it failed', { detail: { a: 1 } });
    expect(error).toBeInstanceOf(CLASSES[party]);
    expect(error).toMatchObject({ code, name: CLASSES[party].name, message: 'Trying: it failed', detail: { a: 1 } });
    expect(http).toBeGreaterThanOrEqual(400);
    expect(http).toBeLessThan(600);
    expect(exit).toBeGreaterThanOrEqual(2);
    expect(exit).toBeLessThanOrEqual(8);
    for (const text of [sentence, next]) {
      expect(text).toMatch(/^[A-Z][^\n]*[^.\s]$/);
      expect(Buffer.from(text).length).toBeLessThanOrEqual(120);
    }
  });

  test('a failed check of metadata is never a server’s failure', () => {
    const statuses = codes.filter((code) => rowOf(code).party === 'metadata').map((code) => rowOf(code).http);
    expect(new Set(statuses)).toEqual(new Set([403, 404]));
  });
});

describe('errors', () => {
  test('carry detail, cause and evidence; without them, empty ones and no cause', () => {
    const cause = new Error('inner');
    const evidence = { file: new Uint8Array([1]) };
    expect(new MetadataError('ROLLBACK', 'x', { cause, evidence })).toMatchObject({ cause, evidence, detail: {} });
    const bare = new StoreError('STORE_READ', 'x');
    expect('cause' in bare).toBe(false);
    expect(bare).toMatchObject({ evidence: {}, detail: {} });
    expect(errorOf('STORE_READ', 'x')).toMatchObject({ evidence: {}, detail: {} });
  });

  test('say what to do: what they know themselves, else what their code says', () => {
    const nearer = new UsageError('USAGE_INVALID', 'x', { detail: { next: 'Choose from 1 to 2' } });
    expect(nextStepOf(nearer)).toBe('Choose from 1 to 2');
    expect(nextStepOf(new UsageError('USAGE_INVALID', 'x', { detail: { next: '' } }))).toBe(CODES.USAGE_INVALID.next);
    expect(nextStepOf(new UsageError('USAGE_INVALID', 'x'))).toBe(CODES.USAGE_INVALID.next);
  });

  test('isTufError and isCode', () => {
    expect(isTufError(new UsageError('USAGE_INVALID', 'x'))).toBe(true);
    expect(new UsageError('USAGE_INVALID', 'x')).toBeInstanceOf(TufError);
    for (const other of [new Error('x'), { code: 'ROLLBACK' }, null, undefined, 'ROLLBACK']) {
      expect(isTufError(other)).toBe(false);
    }
    expect(isCode('ROLLBACK')).toBe(true);
    for (const text of ['', 'rollback', 'constructor', '__proto__', 'toString']) expect(isCode(text)).toBe(false);
  });
});
