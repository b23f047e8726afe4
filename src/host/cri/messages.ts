// The part of the container runtime interface that a kubelet uses, as tables of field numbers.
// https://github.com/kubernetes/cri-api/blob/master/pkg/apis/runtime/v1/api.proto

import { message, type Fields, type Message } from '../rpc/message.ts';
import type { Method } from '../rpc/grpc.ts';

const KeyValue = message({ key: [1, 'string'], value: [2, 'string'] });
const NumberValue = message({ value: [1, 'int'] });
const NamespaceOption = message({ network: [1, 'int'], pid: [2, 'int'], ipc: [3, 'int'], targetId: [4, 'string'] });
const SecurityProfile = message({ profileType: [1, 'int'], localhostRef: [2, 'string'] });
const ImageSpec = message({ image: [1, 'string'], userSpecifiedImage: [18, 'string'] });
const PodMetadata = message({
  name: [1, 'string'],
  uid: [2, 'string'],
  namespace: [3, 'string'],
  attempt: [4, 'int'],
});
const ContainerMetadata = message({ name: [1, 'string'], attempt: [2, 'int'] });

const Resources = message({
  cpuPeriod: [1, 'int'],
  cpuQuota: [2, 'int'],
  cpuShares: [3, 'int'],
  memoryLimitInBytes: [4, 'int'],
  oomScoreAdj: [5, 'int'],
});

const PodSandboxConfig = message({
  metadata: [1, PodMetadata],
  hostname: [2, 'string'],
  logDirectory: [3, 'string'],
  dnsConfig: [4, message({ servers: [1, 'strings'], searches: [2, 'strings'], options: [3, 'strings'] })],
  portMappings: [
    5,
    [message({ protocol: [1, 'int'], containerPort: [2, 'int'], hostPort: [3, 'int'], hostIp: [4, 'string'] })],
  ],
  labels: [6, 'map'],
  annotations: [7, 'map'],
  linux: [
    8,
    message({
      cgroupParent: [1, 'string'],
      securityContext: [
        2,
        message({
          namespaceOptions: [1, NamespaceOption],
          runAsUser: [3, NumberValue],
          readonlyRootfs: [4, 'bool'],
          supplementalGroups: [5, 'ints'],
          privileged: [6, 'bool'],
          runAsGroup: [8, NumberValue],
          seccomp: [9, SecurityProfile],
        }),
      ],
      sysctls: [3, 'map'],
    }),
  ],
});

const ContainerSecurity = message({
  capabilities: [1, message({ addCapabilities: [1, 'strings'], dropCapabilities: [2, 'strings'] })],
  privileged: [2, 'bool'],
  namespaceOptions: [3, NamespaceOption],
  runAsUser: [5, NumberValue],
  runAsUsername: [6, 'string'],
  readonlyRootfs: [7, 'bool'],
  supplementalGroups: [8, 'ints'],
  noNewPrivs: [11, 'bool'],
  runAsGroup: [12, NumberValue],
  maskedPaths: [13, 'strings'],
  readonlyPaths: [14, 'strings'],
  seccomp: [15, SecurityProfile],
});

const ContainerConfig = message({
  metadata: [1, ContainerMetadata],
  image: [2, ImageSpec],
  command: [3, 'strings'],
  args: [4, 'strings'],
  workingDir: [5, 'string'],
  envs: [6, [KeyValue]],
  mounts: [
    7,
    [
      message({
        containerPath: [1, 'string'],
        hostPath: [2, 'string'],
        readonly: [3, 'bool'],
        propagation: [5, 'int'],
      }),
    ],
  ],
  devices: [8, [message({ containerPath: [1, 'string'], hostPath: [2, 'string'], permissions: [3, 'string'] })]],
  labels: [9, 'map'],
  annotations: [10, 'map'],
  logPath: [11, 'string'],
  stdin: [12, 'bool'],
  stdinOnce: [13, 'bool'],
  tty: [14, 'bool'],
  linux: [15, message({ resources: [1, Resources], securityContext: [2, ContainerSecurity] })],
  stopSignal: [18, 'int'],
});

const PodSandbox = message({
  id: [1, 'string'],
  metadata: [2, PodMetadata],
  state: [3, 'int'],
  createdAt: [4, 'int'],
  labels: [5, 'map'],
  annotations: [6, 'map'],
});

const PodSandboxStatus = message({
  id: [1, 'string'],
  metadata: [2, PodMetadata],
  state: [3, 'int'],
  createdAt: [4, 'int'],
  network: [5, message({ ip: [1, 'string'], additionalIps: [2, [message({ ip: [1, 'string'] })]] })],
  labels: [7, 'map'],
  annotations: [8, 'map'],
});

const Container = message({
  id: [1, 'string'],
  podSandboxId: [2, 'string'],
  metadata: [3, ContainerMetadata],
  state: [6, 'int'],
  createdAt: [7, 'int'],
});

const ContainerStatus = message({
  id: [1, 'string'],
  metadata: [2, ContainerMetadata],
  state: [3, 'int'],
  createdAt: [4, 'int'],
  startedAt: [5, 'int'],
  finishedAt: [6, 'int'],
  exitCode: [7, 'int'],
  image: [8, ImageSpec],
  imageRef: [9, 'string'],
  reason: [10, 'string'],
  message: [11, 'string'],
  labels: [12, 'map'],
  annotations: [13, 'map'],
  logPath: [15, 'string'],
  imageId: [17, 'string'],
});

const Image = message({
  id: [1, 'string'],
  repoTags: [2, 'strings'],
  repoDigests: [3, 'strings'],
  size: [4, 'int'],
  uid: [5, NumberValue],
  username: [6, 'string'],
});

const ContainerStats = message({
  attributes: [1, message({ id: [1, 'string'], metadata: [2, ContainerMetadata] })],
  cpu: [2, message({ timestamp: [1, 'int'], usageCoreNanoSeconds: [2, NumberValue] })],
  memory: [3, message({ timestamp: [1, 'int'], workingSetBytes: [2, NumberValue] })],
});

export type PodSandboxConfigMessage = Parameters<typeof PodSandboxConfig.encode>[0];
export type ContainerConfigMessage = Parameters<typeof ContainerConfig.encode>[0];
export type ResourcesMessage = Parameters<typeof Resources.encode>[0];
export type PodSandboxMessage = ReturnType<typeof PodSandbox.decode>;
export type PodSandboxStatusMessage = ReturnType<typeof PodSandboxStatus.decode>;
export type ContainerMessage = ReturnType<typeof Container.decode>;
export type ContainerStatusMessage = ReturnType<typeof ContainerStatus.decode>;
export type ImageMessage = ReturnType<typeof Image.decode>;

const Nothing = message({});
const SandboxId = message({ podSandboxId: [1, 'string'] });
const ContainerId = message({ containerId: [1, 'string'] });
const Url = message({ url: [1, 'string'] });
const ImageRequest = message({ image: [1, ImageSpec] });

const service =
  (name: string) =>
  <I extends Fields, O extends Fields>(method: string, request: Message<I>, response: Message<O>): Method<I, O> => ({
    path: `/runtime.v1.${name}/${method}`,
    request,
    response,
  });
const runtime = service('RuntimeService');
const images = service('ImageService');

export const Cri = {
  version: runtime(
    'Version',
    Nothing,
    message({ runtimeName: [2, 'string'], runtimeVersion: [3, 'string'], runtimeApiVersion: [4, 'string'] }),
  ),
  status: runtime(
    'Status',
    Nothing,
    message({
      status: [
        1,
        message({
          conditions: [
            1,
            [message({ type: [1, 'string'], status: [2, 'bool'], reason: [3, 'string'], message: [4, 'string'] })],
          ],
        }),
      ],
    }),
  ),

  runPodSandbox: runtime(
    'RunPodSandbox',
    message({ config: [1, PodSandboxConfig], runtimeHandler: [2, 'string'] }),
    SandboxId,
  ),
  stopPodSandbox: runtime('StopPodSandbox', SandboxId, Nothing),
  removePodSandbox: runtime('RemovePodSandbox', SandboxId, Nothing),
  listPodSandbox: runtime('ListPodSandbox', Nothing, message({ items: [1, [PodSandbox]] })),
  podSandboxStatus: runtime(
    'PodSandboxStatus',
    message({ podSandboxId: [1, 'string'], verbose: [2, 'bool'] }),
    message({ status: [1, PodSandboxStatus], info: [2, 'map'] }),
  ),

  createContainer: runtime(
    'CreateContainer',
    message({ podSandboxId: [1, 'string'], config: [2, ContainerConfig], sandboxConfig: [3, PodSandboxConfig] }),
    ContainerId,
  ),
  startContainer: runtime('StartContainer', ContainerId, Nothing),
  stopContainer: runtime('StopContainer', message({ containerId: [1, 'string'], timeout: [2, 'int'] }), Nothing),
  removeContainer: runtime('RemoveContainer', ContainerId, Nothing),
  listContainers: runtime(
    'ListContainers',
    message({ filter: [1, message({ id: [1, 'string'], podSandboxId: [3, 'string'] })] }),
    message({ containers: [1, [Container]] }),
  ),
  containerStatus: runtime(
    'ContainerStatus',
    message({ containerId: [1, 'string'], verbose: [2, 'bool'] }),
    message({ status: [1, ContainerStatus], info: [2, 'map'] }),
  ),
  updateContainerResources: runtime(
    'UpdateContainerResources',
    message({ containerId: [1, 'string'], linux: [2, Resources] }),
    Nothing,
  ),
  reopenContainerLog: runtime('ReopenContainerLog', ContainerId, Nothing),
  listContainerStats: runtime('ListContainerStats', Nothing, message({ stats: [1, [ContainerStats]] })),

  execSync: runtime(
    'ExecSync',
    message({ containerId: [1, 'string'], cmd: [2, 'strings'], timeout: [3, 'int'] }),
    message({ stdout: [1, 'bytes'], stderr: [2, 'bytes'], exitCode: [3, 'int'] }),
  ),
  attach: runtime(
    'Attach',
    message({
      containerId: [1, 'string'],
      stdin: [2, 'bool'],
      tty: [3, 'bool'],
      stdout: [4, 'bool'],
      stderr: [5, 'bool'],
    }),
    Url,
  ),
  portForward: runtime('PortForward', message({ podSandboxId: [1, 'string'], port: [2, 'ints'] }), Url),

  listImages: images('ListImages', Nothing, message({ images: [1, [Image]] })),
  imageStatus: images('ImageStatus', ImageRequest, message({ image: [1, Image] })),
  pullImage: images(
    'PullImage',
    message({
      image: [1, ImageSpec],
      auth: [
        2,
        message({
          username: [1, 'string'],
          password: [2, 'string'],
          auth: [3, 'string'],
          serverAddress: [4, 'string'],
        }),
      ],
    }),
    message({ imageRef: [1, 'string'] }),
  ),
  removeImage: images('RemoveImage', ImageRequest, Nothing),
} as const;
