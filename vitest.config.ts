import { defineConfig } from 'vitest/config';

const source = (file: string) => new URL(`./src/${file}`, import.meta.url).pathname;
/** The package's own entries, from source; the longer names first. */
const alias = {
  'coracle/client': source('client/index.ts'),
  'coracle/controller': source('client/controller-public.ts'),
  'coracle/testing': source('cluster/testing.ts'),
  coracle: source('cluster/index.ts'),
};

// Unit tests stand beside the file they test; whole-system tests live in test/ and run on their own.
export default defineConfig({
  test: {
    projects: [
      {
        resolve: { alias },
        test: {
          name: 'unit',
          include: ['src/**/*.test.ts', 'scripts/**/*.test.ts', 'examples/**/*.test.ts'],
          pool: 'threads',
          isolate: false,
          testTimeout: 10_000,
        },
      },
      {
        test: {
          name: 'system',
          include: ['test/**/*.test.ts'],
          pool: 'forks',
          fileParallelism: false,
          testTimeout: 180_000,
          hookTimeout: 180_000,
        },
      },
    ],
  },
});
