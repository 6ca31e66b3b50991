// Processes of the bench's own: forked, asked one thing at a time, ended with it.

import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/**
 * Starts a file of this folder in a process of its own.
 *
 * @returns `ask` sends a message and gives the next one back, `next` waits for
 * another; `stop` ends it
 */
export function startChild(file) {
  const child = fork(fileURLToPath(new URL(file, import.meta.url)));
  const answers = [];
  let take;
  child.on('message', (answer) => {
    answers.push(answer);
    take?.();
  });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const next = async () => {
    while (answers.length === 0) {
      const come = new Promise((resolve) => {
        take = resolve;
      });
      const code = await Promise.race([come, ended]);
      if (answers.length === 0) throw new Error(`${file} ended with ${code}`);
    }
    return answers.shift();
  };
  return {
    pid: child.pid,
    async ask(message) {
      child.send(message);
      return await next();
    },
    next,
    stop: () => child.kill(),
  };
}

/** In the child: the next message. */
export function nextMessage() {
  return new Promise((resolve) => process.once('message', resolve));
}
