// `npm run proof:mutants`: 200,000 structured mutants of whole repositories
// through the real client, on every core; prints what came of each kind and
// ends with 1 as soon as anything did that must not. Needs a build.
// Options: COUNTERSIGN_MUTANTS for another number, COUNTERSIGN_FIRST for
// others: a finding names its mutant, and that one alone is drawn by
// COUNTERSIGN_FIRST=that COUNTERSIGN_MUTANTS=1.

import { availableParallelism } from 'node:os';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { runMutants } from '../packages/testkit/dist/index.js';

// A worker that says nothing for so long hangs, whatever the client's own bounds are.
const SILENCE_MS = 120_000;
const SHARE = 4000; // mutants that a worker takes at a time: whole scenes

if (isMainThread) await main();
else parentPort?.on('message', (share) => void work(share));

async function main() {
  const first = Number(process.env['COUNTERSIGN_FIRST'] ?? 0);
  const count = Number(process.env['COUNTERSIGN_MUTANTS'] ?? 200_000);
  say(`mutation proof: ${count} mutants from number ${first} on, ${availableParallelism()} workers`);
  const start = performance.now();
  const shares = Array.from({ length: Math.ceil(count / SHARE) }, (_, i) => ({
    first: first + i * SHARE,
    count: Math.min(SHARE, count - i * SHARE),
  }));
  /** @type {Map<string, Map<string, number>>} */
  const outcomes = new Map();
  const findings = [];
  let done = 0;
  const take = (tally) => {
    for (const [kind, row] of tally.outcomes) {
      const sum = outcomes.get(kind) ?? new Map();
      for (const [outcome, times] of row) sum.set(outcome, (sum.get(outcome) ?? 0) + times);
      outcomes.set(kind, sum);
    }
    findings.push(...tally.findings);
    for (const finding of tally.findings) say(JSON.stringify(finding));
    done += tally.mutants;
    say(`${done} of ${count}, ${findings.length} findings, ${seconds(start)} s`);
  };
  await Promise.all(Array.from({ length: availableParallelism() }, () => runWorker(shares, take, findings)));
  report(outcomes);
  const verdict = findings.length === 0 && done === count ? 'nothing that must not be' : `${findings.length} findings`;
  say(`${done} mutants in ${seconds(start)} s: ${verdict}`);
  process.exitCode = findings.length === 0 && done === count ? 0 : 1;
}

/** Gives one worker share after share, until there is none or it falls silent. */
function runWorker(shares, take, findings) {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url));
    let at = -1;
    let alarm;
    const listen = () => {
      clearTimeout(alarm);
      alarm = setTimeout(() => {
        findings.push({ violation: 'runaway', mutant: at, what: 'a worker fell silent at this scene' });
        say(JSON.stringify(findings.at(-1)));
        void worker.terminate().then(resolve);
      }, SILENCE_MS);
    };
    const next = () => {
      const share = shares.shift();
      listen();
      if (share !== undefined) {
        worker.postMessage(share);
        return;
      }
      clearTimeout(alarm);
      void worker.terminate().then(resolve);
    };
    worker.on('message', (message) => {
      listen();
      if (typeof message === 'number') at = message;
      else {
        take(message);
        next();
      }
    });
    worker.on('error', (error) => {
      clearTimeout(alarm);
      reject(error);
    });
    next();
  });
}

async function work({ first, count }) {
  parentPort?.postMessage(await runMutants({ first, count, onScene: (mutant) => parentPort?.postMessage(mutant) }));
}

function report(outcomes) {
  for (const [kind, row] of [...outcomes].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const cells = [...row].sort((a, b) => b[1] - a[1]).map(([outcome, times]) => `${outcome} ${times}`);
    const visits = [...row].reduce((sum, [outcome, times]) => sum + (outcome.startsWith('file') ? 0 : times), 0);
    say(`${kind.padEnd(27)} ${String(visits).padStart(7)}: ${cells.join(', ')}`);
  }
}

function seconds(start) {
  return ((performance.now() - start) / 1000).toFixed(0);
}

function say(line) {
  process.stdout.write(`${line}\n`);
}
