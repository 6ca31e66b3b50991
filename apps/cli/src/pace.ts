// How far long work is, how fast it goes and what is left of it, for people: one
// line on a terminal that is written over, and a line now and then elsewhere.

import type { Output } from './output.ts';
import type { Shell } from './shell.ts';

/** Tells of long work. */
export interface Pace {
  update(done: number): void;
  end(): void;
}

/**
 * Begins to tell of work.
 *
 * @param from how much was done before, in an earlier run
 * @param unit what is counted, such as `files`
 */
export function startPace(
  { shell, output }: { readonly shell: Pick<Shell, 'stderr' | 'clock'>; readonly output: Output },
  label: string,
  { from, total, unit }: { readonly from: number; readonly total: number; readonly unit: string },
): Pace {
  const began = shell.clock();
  let told = began;
  let end = (): void => undefined;
  return {
    update(done) {
      const now = shell.clock();
      if (now - told < (shell.stderr.isTerminal ? REDRAW : TELL)) return;
      told = now;
      const text = `${label}  ${paceText(done, total, (done - from) / ((now - began) / 1000), unit)}`;
      if (shell.stderr.isTerminal) end = output.progress(text).end;
      else output.note(text);
    },
    end: () => end(),
  };
}

/** @example paceText(50, 100, 10, 'files') // '██████████░░░░░░░░░░  50 %  10 files/s  5 s left' */
export function paceText(done: number, total: number, rate: number, unit: string): string {
  const part = total === 0 ? 1 : Math.min(1, done / total);
  const full = Math.floor(part * WIDTH);
  const bar = `${'█'.repeat(full)}${'░'.repeat(WIDTH - full)} ${String(Math.floor(part * 100)).padStart(3)} %`;
  const left = rate > 0 ? `  ${durationText((total - done) / rate)} left` : '';
  return `${bar}  ${Math.round(rate).toLocaleString('en')} ${unit}/s${left}`;
}

/** @example durationText(100) // '1 min 40 s' */
export function durationText(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

const WIDTH = 20;
// In milliseconds: on a terminal, and where lines stay.
const REDRAW = 100;
const TELL = 10_000;
