// `kubernetes_build_info`: which version tells these metrics.

import type { Metrics } from '../base/metrics.ts';
import { versionInfo } from './version.ts';

export function buildInfo(metrics: Metrics): void {
  const info = versionInfo();
  const labels: Readonly<Record<string, string>> = {
    major: info.major,
    minor: info.minor,
    git_version: info.gitVersion,
    git_commit: info.gitCommit,
    git_tree_state: info.gitTreeState,
    build_date: info.buildDate,
    go_version: info.goVersion,
    compiler: info.compiler,
    platform: info.platform,
  };
  metrics.reading(
    'kubernetes_build_info',
    "A metric with a constant '1' value labeled by major, minor, git version, git commit, git tree state, build date, Go " +
      'version, and compiler from which Kubernetes was built, and platform on which it is running.',
    Object.keys(labels),
    () => [[Object.values(labels), 1]],
  );
}
