// Builds an image without any tool: an OCI layout in a tar, one layer of a folder or of a static binary. The same input
// gives the same digest. `containerd` and every other OCI tool load it.
// https://github.com/opencontainers/image-spec/blob/main/image-layout.md

import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileEntry, writeLayer, writeTar, type LayerFile } from './layer.ts';
import { fullReference } from './reference.ts';

export type Architecture = 'amd64' | 'arm64';

interface ImageSource {
  /** A folder that becomes `/`. */
  readonly rootfsDir?: string;
  /** A static binary, put into `/` under its own name; it is the entrypoint unless told. */
  readonly singleBinary?: string;
  readonly files?: readonly LayerFile[];
}

export interface BuildOptions extends ImageSource {
  /** e.g. `example.com/app:1.0`; short names get docker.io and `latest`. */
  readonly name: string;
  /** The archive to write. */
  readonly output: string;
  readonly entrypoint?: readonly string[];
  readonly cmd?: readonly string[];
  /** `KEY=value` each. */
  readonly env?: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly user?: string;
  readonly workdir?: string;
  /** `80/tcp` each. */
  readonly exposedPorts?: readonly string[];
  readonly stopSignal?: string;
  readonly architecture?: Architecture;
}

export interface BuiltImage {
  readonly file: string;
  /** The full reference. */
  readonly name: string;
  /** Digest of the manifest. */
  readonly digest: string;
  /** The image's ID: digest of its configuration. */
  readonly id: string;
}

const CREATED = '1970-01-01T00:00:00Z';
const DEFAULT_PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const MEDIA = 'application/vnd.oci.image';

export function hostArchitecture(): Architecture {
  return process.arch === 'arm64' ? 'arm64' : 'amd64';
}

function blobOf(value: unknown): { bytes: Buffer; digest: string; size: number } {
  const bytes = Buffer.from(JSON.stringify(value));
  return { bytes, digest: `sha256:${createHash('sha256').update(bytes).digest('hex')}`, size: bytes.length };
}

function contentOf(options: BuildOptions): Parameters<typeof writeLayer>[1] {
  const { rootfsDir, singleBinary, files } = options;
  if ([rootfsDir, singleBinary, files].filter((source) => source !== undefined).length !== 1) {
    throw new Error('an image is built of exactly one of rootfsDir, singleBinary and files');
  }
  if (rootfsDir !== undefined) return { rootfsDir };
  if (files) return { files };
  return { files: [{ path: `/${basename(singleBinary!)}`, source: singleBinary!, mode: 0o755 }] };
}

/** Without empty values: that is how other tools write it, and the digest depends on it. */
function imageConfig(options: BuildOptions, architecture: Architecture, diffId: string) {
  const own = options.singleBinary === undefined ? undefined : [`/${basename(options.singleBinary)}`];
  const env = options.env ?? [];
  const ports = (options.exposedPorts ?? []).toSorted().map((port) => [port, {}]);
  const labels = Object.entries(options.labels ?? {}).toSorted(([a], [b]) => (a < b ? -1 : 1));
  const config = {
    User: options.user || undefined,
    ExposedPorts: ports.length > 0 ? Object.fromEntries(ports) : undefined,
    Env: env.some((entry) => entry.startsWith('PATH=')) ? env : [DEFAULT_PATH, ...env],
    Entrypoint: options.entrypoint ?? own,
    Cmd: options.cmd,
    WorkingDir: options.workdir || undefined,
    Labels: labels.length > 0 ? Object.fromEntries(labels) : undefined,
    StopSignal: options.stopSignal,
  };
  return {
    created: CREATED,
    architecture,
    os: 'linux',
    config,
    rootfs: { type: 'layers', diff_ids: [diffId] },
    history: [{ created: CREATED, created_by: 'coracle image build' }],
  };
}

/** Writes the image as an OCI archive. */
export async function buildImage(options: BuildOptions): Promise<BuiltImage> {
  const name = fullReference(options.name);
  const architecture = options.architecture ?? hostArchitecture();
  const scratch = await mkdtemp(join(tmpdir(), 'coracle-image-'));
  try {
    const layerFile = join(scratch, 'layer.tar');
    const layer = await writeLayer(layerFile, contentOf(options));
    const config = blobOf(imageConfig(options, architecture, layer.digest));
    const manifest = blobOf({
      schemaVersion: 2,
      mediaType: `${MEDIA}.manifest.v1+json`,
      config: { mediaType: `${MEDIA}.config.v1+json`, digest: config.digest, size: config.size },
      layers: [{ mediaType: `${MEDIA}.layer.v1.tar`, digest: layer.digest, size: layer.size }],
    });
    const index = {
      schemaVersion: 2,
      mediaType: `${MEDIA}.index.v1+json`,
      manifests: [
        {
          mediaType: `${MEDIA}.manifest.v1+json`,
          digest: manifest.digest,
          size: manifest.size,
          annotations: { 'io.containerd.image.name': name, 'org.opencontainers.image.ref.name': tagOf(name) },
          platform: { architecture, os: 'linux' },
        },
      ],
    };
    const json = (path: string, value: unknown) => {
      const bytes = Buffer.from(JSON.stringify(value));
      return fileEntry(path, bytes, bytes.length);
    };
    const path = (digest: string) => `blobs/${digest.replace(':', '/')}`;
    const blobs = [
      fileEntry(path(layer.digest), layerFile, layer.size),
      fileEntry(path(config.digest), config.bytes, config.size),
      fileEntry(path(manifest.digest), manifest.bytes, manifest.size),
    ];
    await writeTar(options.output, [
      ...blobs.toSorted((a, b) => (a.header.name < b.header.name ? -1 : 1)),
      json('index.json', index),
      json('oci-layout', { imageLayoutVersion: '1.0.0' }),
    ]);
    return { file: options.output, name, digest: manifest.digest, id: config.digest };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

function tagOf(reference: string): string {
  const tag = /:([^:/@]+)(?:@|$)/.exec(reference)?.[1];
  return tag ?? 'latest';
}
