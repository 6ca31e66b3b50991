import { describe, expect, it } from 'vitest';
import { Company, type Ended, type ProcessEvent, type Served, type Started, type Task } from './processes.ts';

/** Processes that do what the test says. */
function company(count: number, port = 0) {
  const tasks: (Task & { serve: (bound?: number) => Promise<void>; end: (ended: Ended) => Promise<void> })[] = [];
  const events: ProcessEvent[] = [];
  const pauses: number[] = [];
  let now = 0;
  let stop: () => void = () => undefined;
  let proceed: (() => void)[] = [];
  const stops: number[] = [];
  const start = (task: Task): Started => {
    const pid = 100 + tasks.length;
    let serve: (served: Served) => void = () => undefined;
    let end: (ended: Ended) => void = () => undefined;
    const serving = new Promise<Served>((resolve) => (serve = resolve));
    const ended = new Promise<Ended>((resolve) => (end = resolve));
    tasks.push({
      ...task,
      serve: async (bound = 7410) => (serve({ port: bound, names: ['main'], unserved: [] }), await settle()),
      end: async (how) => (end(how), await settle()),
    });
    return { pid, serving, ended, stop: () => (stops.push(pid), end({ code: 0, signal: null })) };
  };
  const running = new Company({
    count,
    port,
    start,
    stopped: new Promise((resolve) => (stop = resolve)),
    clock: () => now,
    pause: async (millis, signal) => {
      pauses.push(millis);
      await new Promise<void>((resolve) => {
        signal.addEventListener('abort', () => resolve());
        proceed.push(resolve);
      });
    },
    log: (event) => events.push(event),
  }).run();
  return {
    running,
    tasks,
    events,
    pauses,
    stops,
    stop: () => stop(),
    pass: (millis: number) => (now += millis),
    proceed: async () => {
      for (const resolve of proceed.splice(0)) resolve();
      proceed = [];
      await settle();
    },
  };
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const KILLED = { code: null, signal: 'SIGKILL' };

describe('processes that serve together', () => {
  it('start with one; the others join it when it serves, and all are ended', async () => {
    const { running, tasks, events, stop, stops } = company(3);
    await settle();
    expect(tasks.map(({ number, beside }) => [number, beside])).toEqual([[1, undefined]]);
    await tasks[0]?.serve();
    expect(tasks.map(({ number, beside }) => [number, beside?.names])).toEqual([
      [1, undefined],
      [2, ['main']],
      [3, ['main']],
    ]);
    await tasks[1]?.serve();
    await tasks[2]?.serve();
    expect(events.map((event) => [event.event, event.process, event.pid])).toEqual([
      ['started', 1, 100],
      ['started', 2, 101],
      ['started', 3, 102],
    ]);
    stop();
    expect(await running).toBe(0);
    expect(stops).toEqual([100, 101, 102]);
  });

  it('a service that cannot start is tried once, and ends with the exit code of the one that tried', async () => {
    const { running, tasks, events } = company(4);
    await settle();
    await tasks[0]?.end({ code: 6, signal: null });
    expect(await running).toBe(6);
    expect([tasks.length, events]).toEqual([1, []]);
  });

  it.each([KILLED, { code: 0, signal: null }])('no exit code is none of success: %j', async (how) => {
    const { running, tasks } = company(2);
    await settle();
    await tasks[0]?.end(how);
    expect(await running).toBe(1);
  });

  it('one that dies is replaced, later each time; one that has lasted, soon', async () => {
    const { tasks, events, pauses, proceed, pass, stop, running } = company(2);
    await settle();
    await tasks[0]?.serve();
    await tasks[1]?.serve();
    for (let i = 1; i <= 9; i++) {
      await tasks.at(-1)?.end(KILLED);
      await proceed();
    }
    expect(pauses).toEqual([500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]);
    expect(tasks.slice(1).every(({ number, beside }) => number === 2 && beside !== undefined)).toBe(true);
    expect(events.at(-1)).toEqual({ event: 'ended', process: 2, pid: 109, by: 'SIGKILL', again: 30000 });
    await tasks.at(-1)?.serve();
    pass(60_000);
    await tasks.at(-1)?.end({ code: 1, signal: null });
    expect(pauses.at(-1)).toBe(250);
    stop();
    expect(await running).toBe(0); // without waiting for the pause
  });

  it('when all have died, one begins anew on the port that clients know, and the others wait for it', async () => {
    const { tasks, proceed, stop, running } = company(2);
    await settle();
    await tasks[0]?.serve(43210);
    expect(tasks[1]?.port).toBe(0); // which is the same one, while somebody listens
    await tasks[1]?.serve(43210);
    await tasks[0]?.end(KILLED);
    await tasks[1]?.end(KILLED);
    await proceed();
    expect(tasks.slice(2).map(({ port, beside }) => [port, beside])).toEqual([[43210, undefined]]);
    // Nor is that the end of the service.
    await tasks[2]?.end({ code: 6, signal: null });
    expect(tasks.slice(3).map(({ beside }) => beside)).toEqual([undefined]);
    await tasks[3]?.serve(43210);
    await proceed();
    expect(tasks.slice(4).map(({ beside }) => beside?.port)).toEqual([43210]);
    stop();
    expect(await running).toBe(0);
  });

  it('asked to stop before it serves: ends what has been started, with success', async () => {
    const { running, stop, stops } = company(2);
    await settle();
    stop();
    expect(await running).toBe(0);
    expect(stops).toEqual([100]);
  });
});
