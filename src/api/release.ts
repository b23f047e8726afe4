// The release of Kubernetes whose API this is. Apart from the facts about it, which are large.

export const RELEASE = '1.36';
