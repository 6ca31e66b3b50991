// What a process and its children used, from /proc: CPU seconds and memory.
// The only way to compare servers that are not ours by the same measure.

import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

const TICKS = ticksPerSecond();
// Where proc(5) has them, counted from 0.
const PARENT = 3;
const USER = 13;
const SYSTEM = 14;

/** Seconds of CPU, user and system, that a process and its living descendants used so far. */
export function cpuSeconds(pid) {
  let ticks = 0;
  for (const one of [pid, ...descendants(pid)]) {
    const fields = statOf(one) ?? [];
    ticks += Number(fields[USER] ?? 0) + Number(fields[SYSTEM] ?? 0);
  }
  return ticks / TICKS;
}

/** Resident memory in bytes: now, and the most so far. */
export function memoryOf(pid) {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8');
  const bytes = (name) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? Number.NaN) * 1024;
  return { now: bytes('VmRSS'), peak: bytes('VmHWM') };
}

function descendants(pid) {
  const parents = new Map();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const parent = statOf(name)?.[PARENT];
    if (parent !== undefined) parents.set(Number(name), Number(parent));
  }
  const found = [];
  for (const wanted = [pid]; wanted.length > 0; ) {
    const parent = wanted.pop();
    for (const [child, its] of parents) {
      if (its !== parent) continue;
      found.push(child);
      wanted.push(child);
    }
  }
  return found;
}

/** The fields of /proc/<pid>/stat, counted from 0; `undefined` when it has ended. */
function statOf(pid) {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name, in parentheses, may hold anything.
    const end = text.lastIndexOf(')');
    return [String(pid), '', ...text.slice(end + 2).split(' ')];
  } catch {
    return undefined;
  }
}

function ticksPerSecond() {
  try {
    return Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
  } catch {
    return 100;
  }
}
