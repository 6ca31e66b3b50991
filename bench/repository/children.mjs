// Processes of the bench's own: forked, asked one thing at a time, ended with it.

import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/**
 * Starts a file of this folder in a process of its own.
 *
 * @returns `ask` sends a message and gives the next one back; `stop` ends it
 */
export function startChild(file) {
  const child = fork(fileURLToPath(new URL(file, import.meta.url)));
  return {
    ask(message) {
      return new Promise((resolve, reject) => {
        const ended = (code) => reject(new Error(`${file} ended with ${code}`));
        child.once('exit', ended);
        child.once('message', (answer) => {
          child.off('exit', ended);
          resolve(answer);
        });
        child.send(message);
      });
    },
    stop: () => child.kill(),
  };
}

/** In the child: the next message. */
export function nextMessage() {
  return new Promise((resolve) => process.once('message', resolve));
}
