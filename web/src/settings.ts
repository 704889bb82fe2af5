// Choices that this browser remembers.

/** The remembered choice, or the first that is allowed. */
export function remembered<T extends string>(name: string, allowed: readonly T[]): T {
  const found = recall(name) as T;
  return allowed.includes(found) ? found : allowed[0];
}

export function recall(name: string): string {
  return localStorage.getItem(`bolus-${name}`) ?? "";
}

export function remember(name: string, value: string): void {
  localStorage.setItem(`bolus-${name}`, value);
}
