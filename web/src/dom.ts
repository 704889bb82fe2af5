// Elements in one call. Text is always set as text, never as markup.

type Child = Node | string | null | undefined | false;
type Properties = Record<string, unknown> & { class?: string };

export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Properties = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value as EventListener);
    else if (name in node && name !== "list" && !name.includes("-")) Reflect.set(node, name, value);
    else node.setAttribute(name === "class" ? "class" : name, String(value));
  }
  for (const child of children) if (child !== null && child !== undefined && child !== false) node.append(child);
  return node;
}

export function button(label: string, title: string, action: () => void, more: Properties = {}): HTMLButtonElement {
  return el("button", { type: "button", title, "aria-label": title, onclick: action, ...more }, label);
}

/** Two or more choices of which one holds; gives the element and a way to set it. */
export function choice<T extends string>(
  label: string,
  options: [T, string, string][], // value, text, title
  now: T,
  chosen: (value: T) => void,
): { node: HTMLElement; set: (value: T) => void } {
  const node = el("span", { class: "choice", role: "group", "aria-label": label });
  const buttons = new Map<T, HTMLButtonElement>();
  const set = (value: T): void =>
    buttons.forEach((one, key) => one.setAttribute("aria-pressed", String(key === value)));
  for (const [value, text, title] of options) {
    const one = button(text, title, () => {
      set(value);
      chosen(value);
    });
    buttons.set(value, one);
    node.append(one);
  }
  set(now);
  return { node, set };
}

/** A box beside the grid that opens and closes. */
export function box(title: string, open: boolean, ...children: Child[]): HTMLDetailsElement {
  return el("details", { class: "box", open }, el("summary", {}, title), ...children);
}

export function clear(node: Element): void {
  node.replaceChildren();
}
