// Every built-in kind, one line each.

import type { AnyKind } from '../kind.ts';
import { Namespace } from './core/namespace.ts';
import { Node } from './core/node.ts';
import { Pod } from './core/pod.ts';
import { Binding } from './core/binding.ts';
import { Service } from './core/service.ts';
import { Endpoints } from './core/endpoints.ts';
import { ConfigMap } from './core/config-map.ts';
import { Secret } from './core/secret.ts';
import { ServiceAccount } from './core/service-account.ts';
import { PersistentVolume } from './core/persistent-volume.ts';
import { PersistentVolumeClaim } from './core/persistent-volume-claim.ts';
import { LimitRange } from './core/limit-range.ts';
import { ResourceQuota } from './core/resource-quota.ts';
import { Event } from './core/event.ts';
import { PodTemplate } from './core/pod-template.ts';
import { ReplicationController } from './core/replication-controller.ts';
import { Deployment } from './apps/deployment.ts';
import { ReplicaSet } from './apps/replica-set.ts';
import { DaemonSet } from './apps/daemon-set.ts';
import { StatefulSet } from './apps/stateful-set.ts';
import { ControllerRevision } from './apps/controller-revision.ts';
import { Job } from './batch/job.ts';
import { CronJob } from './batch/cron-job.ts';
import { PodDisruptionBudget } from './policy/pod-disruption-budget.ts';
import { StorageClass } from './storage/storage-class.ts';
import { Ingress } from './networking/ingress.ts';
import { IngressClass } from './networking/ingress-class.ts';
import { NetworkPolicy } from './networking/network-policy.ts';
import { HorizontalPodAutoscaler } from './autoscaling/horizontal-pod-autoscaler.ts';
import { EndpointSlice } from './discovery/endpoint-slice.ts';
import { Lease } from './coordination/lease.ts';
import { Event as EventsEvent } from './events/event.ts';
import { PriorityClass } from './scheduling/priority-class.ts';
import { Role } from './rbac/role.ts';
import { RoleBinding } from './rbac/role-binding.ts';
import { ClusterRole } from './rbac/cluster-role.ts';
import { ClusterRoleBinding } from './rbac/cluster-role-binding.ts';
import { SubjectAccessReview } from './authorization/subject-access-review.ts';
import { SelfSubjectAccessReview } from './authorization/self-subject-access-review.ts';
import { LocalSubjectAccessReview } from './authorization/local-subject-access-review.ts';
import { SelfSubjectRulesReview } from './authorization/self-subject-rules-review.ts';
import { TokenReview } from './authentication/token-review.ts';
import { SelfSubjectReview } from './authentication/self-subject-review.ts';
import { CertificateSigningRequest } from './certificates/certificate-signing-request.ts';

export const builtinKinds: readonly AnyKind[] = [
  Namespace,
  Node,
  Pod,
  Binding,
  Service,
  Endpoints,
  ConfigMap,
  Secret,
  ServiceAccount,
  PersistentVolume,
  PersistentVolumeClaim,
  LimitRange,
  ResourceQuota,
  Event,
  PodTemplate,
  ReplicationController,
  Deployment,
  ReplicaSet,
  DaemonSet,
  StatefulSet,
  ControllerRevision,
  Job,
  CronJob,
  PodDisruptionBudget,
  StorageClass,
  Ingress,
  IngressClass,
  NetworkPolicy,
  HorizontalPodAutoscaler,
  EndpointSlice,
  Lease,
  EventsEvent,
  PriorityClass,
  Role,
  RoleBinding,
  ClusterRole,
  ClusterRoleBinding,
  SubjectAccessReview,
  SelfSubjectAccessReview,
  LocalSubjectAccessReview,
  SelfSubjectRulesReview,
  TokenReview,
  SelfSubjectReview,
  CertificateSigningRequest,
];
