// `coracle/client`: talk to a Kubernetes API server, whatever its distance. A client speaks over a Transport; the kinds
// are values, and a custom resource is one made by `defineKind`.

export { Client } from './client.ts';
export type { CallOptions, ListOptions, WriteOptions } from './client.ts';
export { createInformer, createInformerFactory, type InformerContext } from './create-informer.ts';
export { BY_CONTROLLER } from './informer.ts';
export type { Informer, InformerFactory, InformerHandler, InformerOptions, Lister } from './informer.ts';

export { isReason, StatusError, type Reason } from '../api/errors.ts';
export { defineKind, type AnyKind, type Kind, type KindDefinition, type ObjectOf } from '../api/kind.ts';
export { controllerOf, keyOf, refOfKey, splitApiVersion } from '../api/object.ts';
export type {
  Condition,
  Draft,
  KubeObject,
  LabelSelector,
  ObjectMeta,
  ObjectRef,
  OwnerReference,
} from '../api/object.ts';
export type {
  ApiOp,
  ApiResult,
  ListResult,
  OpOptions,
  PatchType,
  Transport,
  UserInfo,
  Verb,
  WatchEvent,
  WatchSink,
  WatchStream,
} from '../api/op.ts';
export { Quantity, parseQuantity } from '../api/quantity.ts';
export { parseSelector, Selector, selectorFromLabels, selectorOf } from '../api/selectors.ts';
export { realEnv } from '../base/real-env.ts';
export type { Clock, Env, Random, Timer } from '../base/env.ts';
export { createLogger, silentLogger, type Logger, type LogLevel, type LogRecord } from '../base/log.ts';

export { builtinKinds } from '../api/kinds/index.ts';
export { ControllerRevision } from '../api/kinds/apps/controller-revision.ts';
export { DaemonSet } from '../api/kinds/apps/daemon-set.ts';
export { Deployment } from '../api/kinds/apps/deployment.ts';
export { ReplicaSet } from '../api/kinds/apps/replica-set.ts';
export { CertificateSigningRequest } from '../api/kinds/certificates/certificate-signing-request.ts';
export { Lease } from '../api/kinds/coordination/lease.ts';
export { ConfigMap } from '../api/kinds/core/config-map.ts';
export { Endpoints } from '../api/kinds/core/endpoints.ts';
export { Event } from '../api/kinds/core/event.ts';
export { Namespace } from '../api/kinds/core/namespace.ts';
export { Node } from '../api/kinds/core/node.ts';
export { Pod } from '../api/kinds/core/pod.ts';
export { ReplicationController } from '../api/kinds/core/replication-controller.ts';
export { Secret } from '../api/kinds/core/secret.ts';
export { Service } from '../api/kinds/core/service.ts';
export { ServiceAccount } from '../api/kinds/core/service-account.ts';
export { EndpointSlice } from '../api/kinds/discovery/endpoint-slice.ts';
export { ClusterRole } from '../api/kinds/rbac/cluster-role.ts';
export { ClusterRoleBinding } from '../api/kinds/rbac/cluster-role-binding.ts';
export { Role } from '../api/kinds/rbac/role.ts';
export { RoleBinding } from '../api/kinds/rbac/role-binding.ts';
export { PriorityClass } from '../api/kinds/scheduling/priority-class.ts';
export { StatefulSet } from '../api/kinds/apps/stateful-set.ts';
export { HorizontalPodAutoscaler } from '../api/kinds/autoscaling/horizontal-pod-autoscaler.ts';
export { CronJob } from '../api/kinds/batch/cron-job.ts';
export { Job } from '../api/kinds/batch/job.ts';
export { Binding } from '../api/kinds/core/binding.ts';
export { LimitRange } from '../api/kinds/core/limit-range.ts';
export { PersistentVolumeClaim } from '../api/kinds/core/persistent-volume-claim.ts';
export { PersistentVolume } from '../api/kinds/core/persistent-volume.ts';
export { PodTemplate } from '../api/kinds/core/pod-template.ts';
export { ResourceQuota } from '../api/kinds/core/resource-quota.ts';
export { IngressClass } from '../api/kinds/networking/ingress-class.ts';
export { Ingress } from '../api/kinds/networking/ingress.ts';
export { NetworkPolicy } from '../api/kinds/networking/network-policy.ts';
export { PodDisruptionBudget } from '../api/kinds/policy/pod-disruption-budget.ts';
export { StorageClass } from '../api/kinds/storage/storage-class.ts';
