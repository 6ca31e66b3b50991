// A load of GET requests, in a process of its own (forked by serving.mjs): one
// request at a time on each of many kept connections. Written on sockets, so
// that it costs less than any server it is pointed at; it checks the status and
// the length of every answer and dies of anything else.
// Asked { port, seconds, connections, paths: [{ path, length }] } it connects and
// says 'ready'; asked 'go' it gives { answered }.

import { connect } from 'node:net';
import { nextMessage } from './children.mjs';

const order = await nextMessage();
const requests = order.paths.map(({ path, length }) => ({
  bytes: Buffer.from(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\n${order.headers ?? ''}\r\n`),
  length,
}));
let answered = 0;
let running = true;
const sockets = await Promise.all(Array.from({ length: order.connections }, (_, i) => open(i)));
process.send('ready');
await nextMessage();
for (const { start } of sockets) start();
setTimeout(() => {
  running = false;
  process.send({ answered });
}, order.seconds * 1000);

/** A connection that asks for one file after the other, each connection beginning with another. */
async function open(number) {
  const socket = connect({ host: '127.0.0.1', port: order.port, noDelay: true });
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  let at = number % requests.length;
  /** Bytes of the answer still to come; below 0 while its head is awaited. */
  let rest = -1;
  let head = '';
  const ask = () => {
    at = (at + 1) % requests.length;
    socket.write(requests[at].bytes);
  };
  socket.on('data', (chunk) => {
    let body = chunk.length;
    if (rest < 0) {
      const end = chunk.indexOf('\r\n\r\n');
      if (end < 0) {
        head += chunk.latin1Slice();
        return;
      }
      head += chunk.latin1Slice(0, end);
      if (!head.startsWith('HTTP/1.1 200')) throw new Error(`An answer began with ${head.slice(0, 80)}`);
      rest = requests[at].length;
      body = chunk.length - end - 4;
      head = '';
    }
    rest -= body;
    if (rest < 0) throw new Error('An answer was longer than the file');
    if (rest > 0) return;
    rest = -1;
    if (!running) return;
    answered++;
    ask();
  });
  socket.on('error', (error) => {
    if (running) throw error;
  });
  return { start: ask };
}
