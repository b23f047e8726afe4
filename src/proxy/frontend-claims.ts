// Who has a frontend: two Services may ask for the same external address and port. The first keeps it, the others wait.

export interface ClaimResult {
  readonly owned: ReadonlySet<string>;
  /** Asked for, but another's. */
  readonly lost: readonly string[];
  /** Others that waited for what was given up now. */
  readonly freed: readonly string[];
}

export class FrontendClaims {
  readonly #owners = new Map<string, string>();
  readonly #waiting = new Map<string, Set<string>>();
  /** What each asked for last. */
  readonly #asked = new Map<string, readonly string[]>();

  /** `claimant` asks for exactly these frontends from now on. */
  claim(claimant: string, frontends: readonly string[]): ClaimResult {
    const wanted = new Set(frontends);
    const freed = new Set<string>();
    for (const frontend of this.#asked.get(claimant) ?? []) {
      if (wanted.has(frontend)) continue;
      if (this.#owners.get(frontend) !== claimant) {
        this.#stopWaiting(frontend, claimant);
        continue;
      }
      this.#owners.delete(frontend);
      for (const other of this.#waiting.get(frontend) ?? []) freed.add(other);
    }
    const owned = new Set<string>();
    const lost: string[] = [];
    for (const frontend of wanted) {
      const owner = this.#owners.get(frontend) ?? claimant;
      if (owner === claimant) {
        this.#owners.set(frontend, claimant);
        this.#stopWaiting(frontend, claimant);
        owned.add(frontend);
      } else {
        const waiting = this.#waiting.get(frontend);
        if (waiting) waiting.add(claimant);
        else this.#waiting.set(frontend, new Set([claimant]));
        lost.push(frontend);
      }
    }
    if (wanted.size) this.#asked.set(claimant, [...wanted]);
    else this.#asked.delete(claimant);
    return { owned, lost, freed: [...freed] };
  }

  #stopWaiting(frontend: string, claimant: string): void {
    const waiting = this.#waiting.get(frontend);
    waiting?.delete(claimant);
    if (waiting?.size === 0) this.#waiting.delete(frontend);
  }
}
