// Real containers where the machine can run them, simulated nodes where it cannot, and one sentence that says why.

import { UserError, type NodesMode, type StepSink } from '../cli/platform.ts';

export interface NodesChoice {
  readonly nodes: 'real' | 'simulated';
  /** Told to the user when simulated nodes stand in for real ones. */
  readonly notice: string | undefined;
}

/** `dataDir` is where the cluster will keep its data; it exists. */
export async function chooseNodes(mode: NodesMode, dataDir: string, steps: StepSink): Promise<NodesChoice> {
  if (mode === 'simulated')
    return {
      nodes: 'simulated',
      notice: 'Nodes are SIMULATED: pods are scheduled and report Running, no container runs.',
    };
  const { preflight, installPackages } = await import('../host/preflight.ts');
  let findings = await preflight({ dataDir });
  const missing = findings.flatMap((finding) => finding.packages ?? []);
  if (missing.length && !findings.some((f) => f.fatal)) {
    const began = performance.now();
    steps({ name: `installing Debian packages: ${missing.join(', ')}` });
    const failed = await installPackages(missing);
    if (failed) throw new UserError(failed);
    steps({ name: `installed Debian packages: ${missing.join(', ')}`, seconds: (performance.now() - began) / 1000 });
    findings = await preflight({ dataDir });
  }
  const impossible = findings.find((f) => f.fatal);
  if (impossible && mode === 'auto') {
    return {
      nodes: 'simulated',
      notice: `${impossible.message} Nodes are SIMULATED instead: pods report Running, no container runs.`,
    };
  }
  const first = impossible ?? findings[0];
  if (first) throw new UserError(first.message);
  return { nodes: 'real', notice: undefined };
}
