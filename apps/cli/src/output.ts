// What a person or a program reads: results on stdout, progress, notices and
// errors on stderr, either as text or (--json) as one JSON document a line.
// Whatever comes from a repository may hold anything, so nothing is printed
// before characters that could steer a terminal are made visible.

import { isTufError, nextStepOf, rowOf, type TufError } from '@countersign/core';
import type { Shell } from './shell.ts';

/** How one command talks. */
export interface Output {
  readonly json: boolean;
  /** The result: the document with --json, the lines without. */
  result(document: object, lines: readonly string[]): void;
  /** Something worth knowing while it happens. With --json silent. */
  note(text: string): void;
  /** Shows that long work goes on: one line that is written over, on a terminal only. */
  progress(label: string): Progress;
  /** Tells of a failure. @returns the exit code */
  failure(error: unknown): number;
}

/** A line that shows how far something is. */
export interface Progress {
  readonly update: (done: number, total: number) => void;
  /** The same in steps that are counted: a bar, or the number alone where the total is not known (0). */
  readonly step: (step: string, done: number, total: number) => void;
  /** Takes the line away. */
  readonly end: () => void;
}

/** A failure that another process has told of already. */
export class ToldAlready extends Error {
  readonly exit: number;

  constructor(exit: number) {
    super('Another process of this command failed');
    this.exit = exit;
  }
}

/** The output of a command in its shell. */
export function outputOf(shell: Pick<Shell, 'stdout' | 'stderr'>, json: boolean): Output {
  const { stdout, stderr } = shell;
  let shown = false;
  const clear = (): void => {
    if (shown) stderr.write(CLEAR_LINE);
    shown = false;
  };
  return {
    json,
    result(document, lines) {
      clear();
      stdout.write(json ? `${JSON.stringify(document)}\n` : `${lines.map(visible).join('\n')}\n`);
    },
    note(text) {
      clear();
      if (!json) stderr.write(`${visible(text)}\n`);
    },
    progress(label) {
      const draw = (suffix: string): void => {
        if (json || !stderr.isTerminal) return;
        stderr.write(`${CLEAR_LINE}${visible(label)}${suffix}`);
        shown = true;
      };
      draw(' …');
      let drawn = '';
      return {
        update: (done, total) => draw(`: ${bytesText(done)} of ${bytesText(total)}`),
        step(step, done, total) {
          const now = `: ${step} ${barText(done, total)}`;
          if (now !== drawn) draw(now);
          drawn = now;
        },
        end: clear,
      };
    },
    failure(error) {
      clear();
      const failure = failureOf(error);
      if (json) stderr.write(`${JSON.stringify(failure.document)}\n`);
      else stderr.write(`${failure.lines.map(visible).join('\n')}\n`);
      return failure.exit;
    },
  };
}

/** A failure as document, as lines, and as exit code. */
export function failureOf(error: unknown): { document: object; lines: readonly string[]; exit: number } {
  if (!isTufError(error)) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const next = 'This is a fault of the program: report it with these lines';
    return {
      document: { code: 'INTERNAL', error: error instanceof Error ? error.message : text, next, detail: {} },
      lines: [`error: ${text}`, `  Next: ${next}`],
      exit: 1,
    };
  }
  const { sentence, exit } = rowOf(error.code);
  const next = nextStepOf(error);
  const facts = Object.entries(error.detail).flatMap(([name, value]) =>
    name === 'next' ? [] : factLines(name, value),
  );
  return {
    document: { code: error.code, error: error.message, sentence, next, detail: error.detail },
    lines: [`error: ${error.message}`, ...facts, `  ${sentence} (${error.code})`, `  Next: ${next}`, ...hints(error)],
    exit,
  };
}

/** Columns with two spaces between them, each as wide as its widest cell. */
export function columns(rows: readonly (readonly string[])[], indent = '  '): readonly string[] {
  const widths: number[] = [];
  for (const row of rows) for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  return rows.map((row) => (indent + row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  ')).trimEnd());
}

/** A number of things. @example counted(1, 'name') // '1 name' */
export function counted(count: number, thing: string): string {
  return `${count} ${thing}${count === 1 ? '' : 's'}`;
}

/** How far something is, in steps coarse enough to be drawn each time. @example barText(5, 10) // '██████████░░░░░░░░░░  50 %' */
export function barText(done: number, total: number): string {
  if (total <= 0) return done < 1000 ? '…' : `${Math.floor(done / 1000)} thousand …`;
  const part = Math.min(1, done / total);
  const full = Math.floor(part * BAR);
  return `${'█'.repeat(full)}${'░'.repeat(BAR - full)} ${String(Math.floor(part * 100)).padStart(3)} %`;
}

/** A number of bytes for people. @example bytesText(1_234_567) // '1.2 MB' */
export function bytesText(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  const power = Math.min(3, Math.floor(Math.log10(bytes) / 3));
  const value = bytes / 1000 ** power;
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${['B', 'kB', 'MB', 'GB'][power]}`;
}

/** The beginning of a long hexadecimal text, enough to tell it apart. */
export function short(hexadecimal: string): string {
  return hexadecimal.slice(0, 12);
}

/** A text with every character that could steer a terminal written out. Line breaks stay. */
export function visible(text: string): string {
  return text.replace(STEERING, (sign) => `\\u{${(sign.codePointAt(0) ?? 0).toString(16)}}`);
}

function factLines(name: string, value: string | number | boolean | readonly string[]): readonly string[] {
  if (typeof value !== 'object') return [`  ${name}: ${factText(String(value))}`];
  if (value.length === 0) return [];
  const short = value.join(', ');
  return short.length < 80 ? [`  ${name}: ${short}`] : [`  ${name}:`, ...value.map((one) => `    ${factText(one)}`)];
}

function factText(text: string): string {
  return text.length > MAX_FACT ? `${text.slice(0, MAX_FACT)} …` : text;
}

/** What only a person at this machine can use: the service here may simply not run. */
function hints({ code, detail }: TufError): readonly string[] {
  const here = code === 'UNREACHABLE' && /^https?:\/\/(127\.|localhost|\[::1\])/.test(String(detail['url']));
  return here ? ['  Is the service running? `npm start` or `countersign serve` starts it'] : [];
}

const CLEAR_LINE = '\r\u001b[2K';
const BAR = 20;
const MAX_FACT = 600;
// Control characters but for the line feed, and what reorders text.
const STEERING = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/gu;
