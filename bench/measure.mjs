// What the benchmarks share: order statistics, the description of the machine,
// and a table that fits a terminal. No benchmark reads another's numbers.

import { readFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';

/** The p-th percentile (0 to 100) of numbers, by nearest rank. */
export function percentile(numbers, p) {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil((p / 100) * sorted.length) - 1)] ?? Number.NaN;
}

/** The median of numbers. */
export function median(numbers) {
  return percentile(numbers, 50);
}

/** One line that says where numbers come from. */
export function machine() {
  const model = /model name\s*:\s*(.*)/.exec(readText('/proc/cpuinfo'))?.[1] ?? process.arch;
  const memory = Math.round(totalmem() / 2 ** 30);
  return `Node ${process.version}, ${availableParallelism()} × ${model}, ${memory} GiB`;
}

/** Milliseconds with two digits that matter. */
export function ms(value) {
  return value < 100 ? `${value.toFixed(1)} ms` : `${Math.round(value)} ms`;
}

/** Prints rows under a header, in columns. */
export function table(header, rows) {
  const all = [header, ...rows].map((row) => row.map(String));
  const widths = header.map((_, column) => Math.max(...all.map((row) => row[column].length)));
  for (const row of all)
    console.log(
      row
        .map((cell, i) => cell.padEnd(widths[i]))
        .join('  ')
        .trimEnd(),
    );
}

function readText(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // not on this system
  }
}
