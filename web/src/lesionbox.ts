// Threshold sliders of every method; what follows from them is the server's, as in `bolus run`.

import { box, clear, el } from "./dom";
import type { Viewer } from "./viewer";
import { ask, labelsFrom, post, Refused, type LesionAnswer, type Manifest, type Rule, type Rules, type Threshold } from "./wire";

type Region = "hypoperfused" | "core";

/** How a threshold on a map is set by hand. */
const SCALES: Record<string, { label: string; unit: string; max: number; step: number }> = {
  Tmax: { label: "Tmax above", unit: "s", max: 25, step: 0.1 },
  delay: { label: "delay above", unit: "s", max: 15, step: 0.1 },
  "relative MTT": { label: "MTT above", unit: "× normal", max: 4, step: 0.01 },
  "relative CBF": { label: "CBF below", unit: "× normal", max: 1, step: 0.01 },
  CBV: { label: "CBV below", unit: "ml/100g", max: 6, step: 0.01 },
};

/** Thresholds in force: numbers, and the maps that they are of. */
interface Asked {
  core_map: string;
  core_below: number;
  hypoperfused_map: string;
  hypoperfused_above: number;
}

function askedBy(rule: Rule): Asked {
  const { core, hypoperfused } = rule;
  return { core_map: core.map, core_below: core.below, hypoperfused_map: hypoperfused.map, hypoperfused_above: hypoperfused.above };
}

export class LesionBox {
  readonly root: HTMLDetailsElement;
  private readonly now = new Map<string, Asked>();
  private readonly diceTable = el("div", { class: "dice" });
  private readonly trouble = el("p", { class: "trouble", role: "status" });

  constructor(
    private readonly viewer: Viewer,
    private readonly manifest: Manifest,
  ) {
    this.root = box("Lesion", true);
    const parts = new Map<string, MethodPart>();
    for (const method of manifest.methods) {
      const threshold = manifest.thresholds?.[method];
      if (!threshold) continue;
      const part = new MethodPart(method, threshold, (body, mine) => this.measure(method, body, mine));
      parts.set(method, part);
      this.root.append(part.root);
    }
    this.root.append(this.diceTable, this.trouble);
    // the pictures come first: all this keeps a core of the server busy
    void viewer.loaded.then(async () => {
      try {
        const rules = await ask<Record<string, Rules>>(`/api/exams/${manifest.id}/rules`);
        for (const [method, part] of parts) {
          const first = part.offer(rules[method] ?? {});
          if (first) this.now.set(method, first);
        }
        for (const part of parts.values()) part.begin();
      } catch (error) {
        this.trouble.textContent = `No thresholds: ${(error as Error).message}`;
      }
    });
  }

  /** The lesion at these thresholds; null where a later question has been asked meanwhile. */
  private async measure(method: string, asked: Asked, mine: () => boolean): Promise<LesionAnswer | null> {
    this.now.set(method, asked);
    const others = Object.fromEntries([...this.now].filter(([name]) => name !== method));
    const answer = await post<LesionAnswer>(`/api/exams/${this.manifest.id}/lesion`, { method, ...asked, others });
    const [nx, ny, nz] = this.manifest.shape_xyz;
    const labels = await labelsFrom(answer.mask, nx * ny * nz);
    if (!mine()) return null;
    this.viewer.lesions.set(method, labels);
    this.viewer.redraw();
    this.dice(answer.dice);
    return answer;
  }

  private dice(dice: LesionAnswer["dice"]): void {
    if (!dice) return;
    const rows = Object.entries(dice).flatMap(([region, pairs]) =>
      Object.entries(pairs).map(([pair, value]) =>
        el("tr", {}, el("th", { scope: "row" }, `Dice ${region}, ${pair}`), el("td", { "data-dice": region }, value === null ? "–" : value.toFixed(3)))),
    );
    clear(this.diceTable);
    this.diceTable.append(el("table", { class: "values" }, el("tbody", {}, ...rows)));
  }
}

/** A slider with its number; the map that it is of may change. */
class Slider {
  readonly root: HTMLElement;
  map = "";
  private readonly label = el("span", {});
  private readonly unit = el("span", { class: "unit" });
  private readonly range: HTMLInputElement;
  private readonly number: HTMLInputElement;

  constructor(
    private readonly method: string,
    region: Region,
    private readonly moved: () => void,
  ) {
    const put = (text: string): void => {
      const value = Number(text);
      if (text === "" || !Number.isFinite(value) || value < 0 || value > Number(this.range.max)) return;
      this.value = value;
      this.moved();
    };
    this.range = el("input", { type: "range", min: "0", "data-threshold": `${method}/${region}`, oninput: () => put(this.range.value) });
    this.number = el("input", { type: "number", min: "0", onchange: () => put(this.number.value) });
    this.root = el("label", { class: "slider" }, this.label, this.range, this.number, this.unit);
  }

  get value(): number {
    return Number(this.number.value);
  }

  set value(value: number) {
    this.range.value = String(value);
    this.number.value = String(value);
  }

  show(map: string, value: number): void {
    const scale = SCALES[map] ?? { label: map, unit: "", max: 100, step: 0.1 };
    this.map = map;
    this.label.textContent = scale.label;
    this.unit.textContent = scale.unit;
    for (const field of [this.range, this.number]) {
      field.max = String(scale.max);
      field.step = String(scale.step);
      field.setAttribute("aria-label", `${this.method}: ${scale.label}, ${scale.unit}`);
    }
    this.range.dataset.map = map;
    this.value = value;
  }
}

/** One method: preset, sliders, and what the server measured there. */
class MethodPart {
  readonly root: HTMLElement;
  private rules: Rules = {};
  private count = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private readonly fields: Record<string, HTMLElement> = {};
  private readonly numbers: HTMLElement;
  private readonly state = el("p", { class: "faint", role: "status" });
  private readonly words = el("p", { class: "faint rule" });
  private readonly preset: HTMLSelectElement;
  private readonly hypoperfused: Slider;
  private readonly core: Slider;
  private readonly settings: HTMLElement;

  constructor(
    method: string,
    private readonly start: Threshold,
    private readonly measure: (asked: Asked, mine: () => boolean) => Promise<LesionAnswer | null>,
  ) {
    const row = (key: string, label: string, unit: string): HTMLElement => {
      this.fields[key] = el("td", { "data-volume": `${method}/${key}` }, "–");
      return el("tr", {}, el("th", { scope: "row" }, label), this.fields[key], el("td", { class: "unit" }, unit));
    };
    this.numbers = el(
      "table",
      { class: "values lesion" },
      el("tbody", {},
        row("core_ml", "core", "ml"), row("penumbra_ml", "penumbra", "ml"), row("hypoperfused_ml", "hypoperfused", "ml"),
        row("mismatch_ml", "mismatch", "ml"), row("mismatch_ratio", "mismatch ratio", ""), row("side", "side", "")),
    );
    this.preset = el("select", { "aria-label": `${method}: preset of thresholds`, onchange: () => this.choose(this.preset.value) });
    const moved = (): void => {
      this.preset.value = "";
      this.words.textContent = "";
      this.apply(120);
    };
    this.hypoperfused = new Slider(method, "hypoperfused", moved);
    this.core = new Slider(method, "core", moved);
    const preset = el("label", { class: "slider" }, el("span", {}, "preset"), this.preset);
    this.settings = el("div", { hidden: true }, preset, this.words, this.hypoperfused.root, this.core.root);
    this.root = el("fieldset", {}, el("legend", {}, method), this.settings, this.numbers, this.state);
    const growth = start.hypoperfused_ml - start.core_ml;
    this.put({ core_ml: start.core_ml, hypoperfused_ml: start.hypoperfused_ml, penumbra_ml: growth, mismatch_ml: growth });
  }

  /** Shows the presets this method can follow; gives the thresholds that are in force then. */
  offer(rules: Rules): Asked | null {
    this.rules = rules;
    const names = Object.keys(rules);
    clear(this.preset);
    this.preset.append(el("option", { value: "" }, "custom thresholds"), ...names.map((name) => el("option", { value: name }, name)));
    const first = names.includes(this.start.preset) ? this.start.preset : names[0];
    if (first === undefined) return null;
    this.follow(first);
    this.settings.hidden = false;
    return askedBy(rules[first]);
  }

  begin(): void {
    if (this.count === 0 && !this.settings.hidden) this.apply(0);
  }

  private choose(name: string): void {
    if (name === "") this.words.textContent = ""; // the numbers stay, and may be moved
    else {
      this.follow(name);
      this.apply(0);
    }
  }

  /** Sliders and words of a preset. */
  private follow(name: string): void {
    const { core, hypoperfused, source } = this.rules[name];
    this.preset.value = name;
    this.words.textContent = `core: ${core.text}; hypoperfused: ${hypoperfused.text}`;
    this.words.title = source;
    this.core.show(core.map, core.below);
    this.hypoperfused.show(hypoperfused.map, hypoperfused.above);
  }

  private apply(wait: number): void {
    clearTimeout(this.timer);
    const mine = ++this.count;
    this.numbers.classList.add("stale");
    this.timer = setTimeout(async () => {
      const asked = {
        core_map: this.core.map,
        core_below: this.core.value,
        hypoperfused_map: this.hypoperfused.map,
        hypoperfused_above: this.hypoperfused.value,
      };
      try {
        const answer = await this.measure(asked, () => mine === this.count);
        if (!answer) return;
        this.put({ ...answer });
        this.state.textContent = "";
        this.numbers.classList.remove("stale");
        this.numbers.dataset.count = String(mine);
      } catch (error) {
        if (mine !== this.count) return;
        const silent = error instanceof Refused && error.status === 0;
        this.state.textContent = silent ? "The server does not respond: the numbers shown are for the previous thresholds." : (error as Error).message;
      }
    }, wait);
  }

  private put(answer: Record<string, unknown>): void {
    for (const [key, field] of Object.entries(this.fields)) {
      const value = answer[key];
      if (value === undefined) continue;
      field.textContent = typeof value === "number" ? value.toFixed(key === "mismatch_ratio" ? 2 : 1) : value === null ? "–" : String(value);
      field.dataset.exact = String(value);
    }
  }
}
