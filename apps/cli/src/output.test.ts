import { MetadataError, UsageError } from '@countersign/core';
import { describe, expect, it } from 'vitest';
import { barText, bytesText, columns, failureOf, outputOf, visible } from './output.ts';

function outputTo(
  isTerminal: boolean,
  json = false,
): { text: () => string; out: () => string; output: ReturnType<typeof outputOf> } {
  let [err, out] = ['', ''];
  const shell = {
    stdout: { write: (text: string) => void (out += text), isTerminal },
    stderr: { write: (text: string) => void (err += text), isTerminal },
  };
  return { text: () => err, out: () => out, output: outputOf(shell, json) };
}

describe('output', () => {
  it('a bar says how far counted steps are, and is drawn only when it changes', () => {
    expect([barText(0, 10), barText(5, 10), barText(10, 10), barText(11, 10)]).toEqual([
      `${'░'.repeat(20)}   0 %`,
      `${'█'.repeat(10)}${'░'.repeat(10)}  50 %`,
      `${'█'.repeat(20)} 100 %`,
      `${'█'.repeat(20)} 100 %`,
    ]);
    expect([barText(7, 0), barText(12_345, 0)]).toEqual(['…', '12 thousand …']);
    const { text, output } = outputTo(true);
    const progress = output.progress('Checking main');
    for (let done = 0; done < 1000; done++) progress.step('Blobs', done, 100_000);
    progress.end();
    expect(text().split('Blobs').length).toBe(2);
    expect(outputTo(false).text()).toBe('');
  });

  it('a failure says what was tried, the facts, what happened, the code and what to do', () => {
    const error = new MetadataError('EXPIRED', 'Checking the expiry of timestamp: it expired at 2030-01-01T00:00:00Z', {
      detail: { role: 'timestamp' },
    });
    const { text, output } = outputTo(false);
    expect(output.failure(error)).toBe(3);
    expect(text().split('\n')).toEqual([
      'error: Checking the expiry of timestamp: it expired at 2030-01-01T00:00:00Z',
      '  role: timestamp',
      '  The metadata has expired, so what is offered may be stale (EXPIRED)',
      '  Next: Check the clock of this machine, then ask the operator to renew the collection',
      '',
    ]);
  });

  it('with --json results and failures are one document a line, and nothing else', () => {
    const { text, out, output } = outputTo(true, true);
    output.note('told to people only');
    output.progress('working').update(1, 2);
    output.result({ a: 1 }, ['told to people only']);
    output.failure(new UsageError('USAGE_INVALID', 'Reading it: no', { detail: { n: 1 } }));
    expect(out()).toBe('{"a":1}\n');
    expect(JSON.parse(text())).toEqual({
      code: 'USAGE_INVALID',
      error: 'Reading it: no',
      sentence: 'The request or command cannot be understood',
      next: 'See --help',
      detail: { n: 1 },
    });
  });

  it('a failure of the program itself is exit 1', () => {
    expect(failureOf(new TypeError('oops'))).toMatchObject({ exit: 1, document: { code: 'INTERNAL', error: 'oops' } });
  });

  it('progress is one line on a terminal, and nothing elsewhere', () => {
    const terminal = outputTo(true);
    const progress = terminal.output.progress('Sending');
    progress.update(500, 2_000_000);
    progress.end();
    expect(terminal.text()).toBe('\r\u001b[2KSending …\r\u001b[2KSending: 500 B of 2.0 MB\r\u001b[2K');
    const pipe = outputTo(false);
    pipe.output.progress('Sending').update(1, 2);
    expect(pipe.text()).toBe('');
  });

  it('a terminal cannot be steered by what a repository says', () => {
    expect(visible('a\u001b[2Kb\r\u0007\u009b1m\u202eevil\nline')).toBe(
      'a\\u{1b}[2Kb\\u{d}\\u{7}\\u{9b}1m\\u{202e}evil\nline',
    );
  });

  it('numbers of bytes and columns are easy to read', () => {
    expect([0, 999, 1000, 12_345, 1_234_567, 5e12].map(bytesText)).toEqual([
      '0 B',
      '999 B',
      '1.0 kB',
      '12 kB',
      '1.2 MB',
      '5000 GB',
    ]);
    expect(
      columns([
        ['a', 'b'],
        ['long', 'c'],
      ]),
    ).toEqual(['  a     b', '  long  c']);
  });
});
