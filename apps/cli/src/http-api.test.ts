import { createServer, type RequestListener } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { serviceApi } from './http-api.ts';

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

async function apiOver(listener: RequestListener): Promise<ReturnType<typeof serviceApi>> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : 0;
  return serviceApi(`http://127.0.0.1:${port}/pkgs/main`, () => Promise.resolve('secret'));
}

function answering(status: number, body: string): RequestListener {
  return (request, response) => {
    request.resume();
    response.writeHead(status).end(body);
  };
}

describe('serviceApi', () => {
  it('asks beside the collection, with the token only where it must', async () => {
    const asked: string[] = [];
    const api = await apiOver((request, response) => {
      asked.push(`${request.method} ${request.url} ${request.headers.authorization ?? 'nobody'}`);
      request.resume();
      response.writeHead(200).end('{"submission":"x","publication":{"number":7}}');
    });
    await api.status();
    expect(await api.submit('{}')).toEqual({ submission: 'x', publication: 7, receipts: [] });
    expect(asked).toEqual(['GET /pkgs/api/v1/main nobody', 'POST /pkgs/api/v1/main/submissions Bearer secret']);
  });

  it('a refusal comes back as the error it was', async () => {
    const body = {
      code: 'SUBMISSION_STALE',
      error: 'Admitting: version 2 is due',
      next: 'x',
      detail: { want: 2, deep: {} },
    };
    const api = await apiOver(answering(409, JSON.stringify(body)));
    await expect(api.submit('{}')).rejects.toMatchObject({
      name: 'AdmissionError',
      code: 'SUBMISSION_STALE',
      message: 'Admitting: version 2 is due',
      detail: { want: 2 },
    });
  });

  it.each([
    ['an error page', 502, '<html>'],
    ['an unknown code', 400, '{"code":"constructor","error":"x"}'],
    ['a fault', 500, '{"code":"INTERNAL","error":"The service failed"}'],
    ['a success that is no JSON', 200, 'OK'],
    ['a redirect', 302, ''],
  ])('%s is an unexpected status', async (_, status, body) => {
    const api = await apiOver(answering(status, body));
    await expect(api.status()).rejects.toMatchObject({ code: 'STATUS_UNEXPECTED' });
  });

  it('an answer without end is cut', async () => {
    const api = await apiOver((_request, response) => {
      const chunk = Buffer.alloc(64 * 1024, 0x20);
      const more = (): void => {
        while (!response.destroyed && response.write(chunk));
        if (!response.destroyed) response.once('drain', more);
      };
      more();
    });
    await expect(api.status()).rejects.toMatchObject({ code: 'UNREACHABLE' });
  });

  it('a refusal in the middle of an upload is what is told', async () => {
    const api = await apiOver((_request, response) => {
      response
        .writeHead(413, { connection: 'close' })
        .end('{"code":"SUBMISSION_TOO_LARGE","error":"Storing a blob: it is too large","detail":{}}');
    });
    const read = async function* (): AsyncGenerator<Uint8Array> {
      for (let i = 0; i < 200; i++) yield new Uint8Array(100_000);
    };
    const upload = { sha256: '0'.repeat(64), length: 20_000_000, read };
    await expect(api.putBlob(upload)).rejects.toMatchObject({ code: 'SUBMISSION_TOO_LARGE' });
  });

  it('nothing that listens, and a connection that is cut, are an outage', async () => {
    await expect(serviceApi('http://127.0.0.1:1/main', () => Promise.resolve('')).status()).rejects.toMatchObject({
      code: 'UNREACHABLE',
    });
    const api = await apiOver((request) => request.socket.destroy());
    await expect(api.submit('{}')).rejects.toMatchObject({ code: 'UNREACHABLE' });
  });
});
