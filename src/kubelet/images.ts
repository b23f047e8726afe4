// Makes sure a container's image is on the node: looks, pulls as the policy says, backs off, and tells of it in events.
// https://kubernetes.io/docs/concepts/containers/images/

import type { Env } from '../base/env.ts';
import type { Container, EphemeralContainer } from '../api/generated/core-v1.ts';
import type { Secret } from '../api/kinds/core/secret.ts';
import { IMAGE_PULL, nextBackoff, type BackoffEntry } from './backoff.ts';
import { credentialsFor } from './image-credentials.ts';
import { withDefaultTag } from './image-reference.ts';
import { StartFailure } from './start-failure.ts';
import type { ContainerRuntime, Image, PullAuth } from './runtime.ts';

/** How long a look at the runtime's images is trusted: a burst of pods of one image asks once. */
const FRESH = 5_000;
/** From here on a failed pull shows as ImagePullBackOff. */
const SHOWN_AS_ERROR = 2_000;

export interface ImageRequest {
  readonly container: Container | EphemeralContainer;
  readonly secrets: () => Promise<readonly Secret[]>;
  /** Back-offs of this pod, by image. */
  readonly backoffs: Map<string, BackoffEntry>;
  readonly note: (type: 'Normal' | 'Warning', reason: string, message: string) => void;
}

export interface ReadyImage {
  readonly image: Image;
  /** The reference with its tag. */
  readonly reference: string;
}

export class ImageManager {
  readonly #runtime: ContainerRuntime;
  readonly #env: Env;
  readonly #seen = new Map<string, { readonly at: number; readonly image: Promise<Image | undefined> }>();
  readonly #pulls = new Map<string, Promise<void>>();

  constructor(runtime: ContainerRuntime, env: Env) {
    this.#runtime = runtime;
    this.#env = env;
  }

  /** Begins to look for an image that will be needed soon. */
  prefetch(image: string): void {
    try {
      this.#look(withDefaultTag(image)).catch(() => {});
    } catch {
      // An invalid name is told of when the container is to start.
    }
  }

  /** Forgets what was seen: the image turned out to be gone. */
  forget(reference: string): void {
    this.#seen.delete(reference);
  }

  /** Throws StartFailure. */
  async ensure(request: ImageRequest): Promise<ReadyImage> {
    const { container, note } = request;
    const name = container.image ?? '';
    const quoted = JSON.stringify(name);
    let reference: string;
    try {
      reference = withDefaultTag(name);
    } catch (error) {
      const message = `Failed to apply default image tag ${quoted}: ${(error as Error).message}`;
      note('Warning', 'InspectFailed', message);
      throw new StartFailure('InvalidImageName', message);
    }
    const policy = container.imagePullPolicy ?? (reference.endsWith(':latest') ? 'Always' : 'IfNotPresent');
    const present = policy === 'Always' ? undefined : await this.#inspect(reference, quoted, note);
    if (present) {
      note('Normal', 'Pulled', `Container image ${quoted} already present on machine and can be accessed by the pod`);
      return { image: present, reference };
    }
    if (policy === 'Never') {
      const message = `Container image ${quoted} is not present with pull policy of Never`;
      note('Warning', 'ErrImageNeverPull', message);
      throw new StartFailure('ErrImageNeverPull', message);
    }
    return this.#pull(request, reference, quoted);
  }

  async #inspect(reference: string, quoted: string, note: ImageRequest['note']): Promise<Image | undefined> {
    try {
      return await this.#look(reference);
    } catch (error) {
      const message = `Failed to inspect image ${quoted}: ${(error as Error).message}`;
      note('Warning', 'InspectFailed', message);
      throw new StartFailure('ImageInspectError', message);
    }
  }

  #look(reference: string): Promise<Image | undefined> {
    const now = this.#env.clock.monotonic();
    const seen = this.#seen.get(reference);
    if (seen && now - seen.at < FRESH) return seen.image;
    const image = this.#runtime.imageStatus(reference);
    this.#seen.set(reference, { at: now, image });
    // Only presence is worth remembering.
    image.then(
      (found) => found ?? this.#seen.delete(reference),
      () => this.#seen.delete(reference),
    );
    return image;
  }

  async #pull(request: ImageRequest, reference: string, quoted: string): Promise<ReadyImage> {
    const { note, backoffs } = request;
    const began = this.#env.clock.monotonic();
    note('Normal', 'Pulling', `Pulling image ${quoted}`);
    try {
      const secrets = await request.secrets();
      await this.#shared(reference, credentialsFor(reference, secrets));
      this.#seen.delete(reference);
      const image = await this.#look(reference);
      if (!image) throw new Error(`image ${quoted} is absent after its pull`);
      const took = goMilliseconds(this.#env.clock.monotonic() - began);
      const size = `Image size: ${image.size} bytes.`;
      note('Normal', 'Pulled', `Successfully pulled image ${quoted} in ${took} (${took} including waiting). ${size}`);
      backoffs.delete(reference);
      return { image, reference };
    } catch (error) {
      const why = (error as Error).message;
      note('Warning', 'Failed', `Failed to pull image ${quoted}: ${why}`);
      const now = this.#env.clock.now();
      const backoff = nextBackoff(backoffs.get(reference), now, now, IMAGE_PULL);
      backoffs.set(reference, backoff);
      throw new StartFailure('ErrImagePull', why, {
        delay: backoff.delay,
        later: {
          after: SHOWN_AS_ERROR,
          reason: 'ImagePullBackOff',
          message: `Back-off pulling image ${quoted}: ErrImagePull: ${why}`,
        },
      });
    }
  }

  /** Pods that want the same image with the same credentials share one pull. */
  #shared(reference: string, credentials: readonly PullAuth[]): Promise<void> {
    const key = JSON.stringify([reference, credentials]);
    let pull = this.#pulls.get(key);
    if (!pull) {
      pull = this.#try(reference, credentials).finally(() => this.#pulls.delete(key));
      this.#pulls.set(key, pull);
    }
    return pull;
  }

  async #try(reference: string, credentials: readonly PullAuth[]): Promise<void> {
    let failure: unknown;
    for (const auth of credentials.length ? credentials : [undefined]) {
      try {
        await this.#runtime.pullImage(reference, auth);
        return;
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  }
}

/** A duration as Go prints it, in whole milliseconds: `345ms`, `1.2s`, `1m2.5s`. */
export function goMilliseconds(ms: number): string {
  const whole = Math.floor(ms);
  if (whole < 1000) return `${whole}ms`;
  const minutes = Math.floor(whole / 60_000);
  const hours = Math.floor(minutes / 60);
  const seconds = (whole % 60_000) / 1000;
  return `${hours ? `${hours}h` : ''}${minutes ? `${minutes % 60}m` : ''}${seconds}s`;
}
