import { defineConfig } from 'vitest/config';
import { summary } from './tools/summary.ts';

// Tests run against sources (the condition `countersign-source`); tests that
// start real processes use what `npm run build` made. `fast` has no network,
// no child process; `peers` drives real package clients, servers and databases.
// Node takes them for `require` too, so `import` must not be among them.
const resolve = { conditions: ['countersign-source', 'node'] };
const ssr = { resolve };

export default defineConfig({
  test: {
    reporters: ['default', summary],
    coverage: {
      provider: 'v8',
      include: ['packages/core/src/**'],
      exclude: ['**/*.test.ts'],
      reporter: [['text', { skipFull: true }], 'json-summary'],
      // core is held to every branch by its own tests: npm run coverage, a part of npm test.
      thresholds: { branches: 100, functions: 100, lines: 100 },
    },
    projects: [
      {
        resolve,
        ssr,
        test: {
          name: 'fast',
          include: [
            'packages/*/{src,test}/**/*.test.ts',
            'apps/*/src/**/*.test.ts',
            '{tools,conformance/interop}/*.test.ts',
            'bench/*/*.test.ts',
          ],
          exclude: ['**/*.peer.test.ts', '**/node_modules/**'],
          testTimeout: 20_000,
        },
      },
      {
        resolve,
        ssr,
        test: {
          name: 'peers',
          include: ['**/*.peer.test.ts'],
          exclude: ['**/node_modules/**', '**/dist/**', 'tools/peers/*/**', '.countersign/**'],
          testTimeout: 180_000,
          hookTimeout: 300_000,
          globalSetup: ['tools/peers/setup.ts'],
          fileParallelism: false,
        },
      },
    ],
  },
});
