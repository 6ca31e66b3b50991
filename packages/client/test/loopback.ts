// Servers on the loopback interface, on ports of the system's choice. Those
// that a test opens are closed after it, with all their connections.

import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo, Server, Socket } from 'node:net';
import { afterEach } from 'vitest';

const servers = new Set<Server>();
const sockets = new Set<Socket>();

afterEach(async () => {
  hangUp();
  await stopServers();
});

/** Serves HTTP. @returns the URL, with a slash at its end */
export async function serve(listener: RequestListener): Promise<string> {
  return `http://127.0.0.1:${await listen(createServer(listener))}/`;
}

/** Lets a server listen. @returns its port */
export async function listen(server: Server): Promise<number> {
  servers.add(server);
  server.on('connection', (socket: Socket) => sockets.add(socket));
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return (server.address() as AddressInfo).port;
}

/** Closes all connections from the servers' side. */
export function hangUp(): void {
  for (const socket of sockets) socket.destroy();
  sockets.clear();
}

/** Stops all servers: their ports answer no more. */
export async function stopServers(): Promise<void> {
  for (const server of servers) await new Promise((resolve) => server.close(resolve));
  servers.clear();
}
