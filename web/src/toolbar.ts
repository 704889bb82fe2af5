// The controls above the grid: colours, orientation, which panels are shown.

import { choice, el } from "./dom";
import type { Panel } from "./panel";
import { remember } from "./settings";
import type { Convention } from "./space";
import type { Scale } from "./windows";

export function scaleChoice(now: Scale, chosen: (scale: Scale) => void): HTMLElement {
  return choice<Scale>(
    "Colours",
    [
      ["perfusion", "Standard", "The usual colour scale of perfusion maps"],
      ["uniform", "Uniform", "Perceptually uniform colour scale, also suited to colour-blind readers"],
    ],
    now,
    (scale) => {
      remember("scale", scale);
      chosen(scale);
    },
  ).node;
}

export function orientationChoice(now: Convention, chosen: (convention: Convention) => void): HTMLElement {
  return choice<Convention>(
    "Orientation",
    [
      ["radiological", "Radiological", "Patient's left on the viewer's right"],
      ["neurological", "Neurological", "Patient's left on the viewer's left"],
    ],
    now,
    (convention) => {
      remember("orientation", convention);
      chosen(convention);
    },
  ).node;
}

/** Fills the menu with a check box for each panel; `hidden` holds the keys of those that are off. */
export function fillMenu(menu: HTMLElement, panels: Panel[], hidden: Set<string>, changed: () => void): void {
  const line = ({ info, name }: Panel): HTMLElement => {
    const box = el("input", {
      type: "checkbox",
      checked: !hidden.has(info.key),
      onchange: () => {
        if (box.checked) hidden.delete(info.key);
        else hidden.add(info.key);
        changed();
      },
    });
    return el("label", {}, box, name);
  };
  menu.replaceChildren(el("summary", { title: "Show or hide panels" }, "Panels"), el("div", { class: "sheet" }, ...panels.map(line)));
}
