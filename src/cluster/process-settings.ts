// How the processes that hold a cluster are started, for the sake of their memory (docs/performance.md). `bin/coracle` says the
// same in shell.

/** Less memory under load, no more CPU that could be measured. */
export const NODE_FLAGS = ['--min-semi-space-size=8', '--max-semi-space-size=8'];

/**
 * Large pieces of memory go back to the system when they are freed, and few threads keep any for themselves: a third less
 * memory at rest. Only glibc reads these.
 */
export const MALLOC = { MALLOC_ARENA_MAX: '2', MALLOC_MMAP_THRESHOLD_: '131072', MALLOC_TRIM_THRESHOLD_: '131072' };
