// Several processes that serve together on one port: the first process only
// starts the others, replaces those that die, and ends them. The first of them
// says why the service cannot start; once one serves, the rest join it. Waits
// longer and longer before it replaces one that does not last.

import type { UnservedEvent } from '@countersign/server';

/** What a process serves. */
export interface Served {
  readonly port: number;
  readonly names: readonly string[];
  readonly unserved: readonly UnservedEvent[];
}

/** What a process is started for. */
export interface Task {
  /** Which of the processes it is, from 1. Its replacement has the same number. */
  readonly number: number;
  readonly port: number;
  /** What the others serve already; `undefined` for the first. */
  readonly beside: Served | undefined;
}

/** How a process ended: with an exit code or by a signal. */
export interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
}

/** A process that was started. */
export interface Started {
  readonly pid: number;
  /** Never settles if it ends before it serves. */
  readonly serving: Promise<Served>;
  readonly ended: Promise<Ended>;
  /** Asks it to finish and end. */
  stop(): void;
}

/** What happens to the processes, for the log. */
export type ProcessEvent =
  | { readonly event: 'started'; readonly process: number; readonly pid: number }
  | {
      readonly event: 'ended';
      readonly process: number;
      readonly pid: number;
      readonly by: string;
      /** When another one is started, in milliseconds from now. */
      readonly again: number;
    };

/** What {@link Company} needs. */
export interface CompanyOptions {
  readonly count: number;
  readonly port: number;
  readonly start: (task: Task) => Started;
  readonly stopped: Promise<void>;
  readonly clock: () => number;
  /** Resolves after some milliseconds, or when it is aborted. */
  readonly pause: (millis: number, signal: AbortSignal) => Promise<void>;
  readonly log: (event: ProcessEvent) => void;
}

/** The processes of one service. */
export class Company {
  private readonly options: CompanyOptions;
  private readonly running = new Set<Started>();
  private readonly serving = new Map<Started, Served>();
  /** While one starts that has nobody to join. */
  private founding: Promise<unknown> | undefined;
  /** As asked for: 0 takes a free one, and stands for the same as long as one process listens on it. */
  private port: number;
  private boundPort: number | undefined;
  private exit = 0;
  private readonly stopping = new AbortController();

  constructor(options: CompanyOptions) {
    this.options = options;
    this.port = options.port;
  }

  /** Runs the processes until it is asked to stop. @returns the exit code: that of the first one, if the service could not start */
  async run(): Promise<number> {
    const { count, stopped } = this.options;
    void stopped.then(() => this.stop());
    await Promise.all(Array.from({ length: count }, (_, i) => this.keep(i + 1)));
    return this.exit;
  }

  private stop(): void {
    this.stopping.abort();
    for (const one of this.running) one.stop();
  }

  /** Has one process of this number at any time. */
  private async keep(number: number): Promise<void> {
    const { clock, pause, log } = this.options;
    const { signal } = this.stopping;
    for (let failures = 0; ; ) {
      while (this.serving.size === 0 && this.founding !== undefined) await this.founding;
      if (signal.aborted) return;
      const began = clock();
      const { pid, ended } = await this.runOne(number);
      if (signal.aborted) return;
      if (this.boundPort === undefined) {
        // It has said why.
        this.exit = ended.code || 1;
        this.stop();
        return;
      }
      failures = clock() - began < STEADY_MILLIS ? failures + 1 : 0;
      const again = Math.min(MOST_MILLIS, LEAST_MILLIS * 2 ** failures);
      log({ event: 'ended', process: number, pid, by: ended.signal ?? `exit code ${ended.code}`, again });
      await pause(again, signal);
    }
  }

  private async runOne(number: number): Promise<{ readonly pid: number; readonly ended: Ended }> {
    const [beside] = this.serving.values();
    const one = this.options.start({ number, port: this.port, beside });
    const { pid } = one;
    this.running.add(one);
    void one.serving.then((served) => this.welcome(one, served, number));
    if (beside === undefined) {
      this.founding = Promise.race([one.serving, one.ended]).then(() => {
        this.founding = undefined;
      });
    }
    const ended = await one.ended;
    this.running.delete(one);
    this.serving.delete(one);
    if (this.serving.size === 0) this.port = this.boundPort ?? this.port;
    return { pid, ended };
  }

  private welcome(one: Started, served: Served, number: number): void {
    if (!this.running.has(one)) return;
    this.boundPort = served.port;
    this.serving.set(one, served);
    this.options.log({ event: 'started', process: number, pid: one.pid });
  }
}

// A process that served this long was not started in vain.
const STEADY_MILLIS = 60_000;
const LEAST_MILLIS = 250;
const MOST_MILLIS = 30_000;
