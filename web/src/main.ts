// Starts the page: a session of results, or a reading study.

import { actOf, help } from "./keyboard";
import { bar, colours, open, place, problem, top } from "./page";
import { results } from "./results";
import { study } from "./study";
import { ask, Refused, type Session } from "./wire";

async function begin(): Promise<void> {
  document.body.append(bar, place, help);
  try {
    // asked for together: the first picture waits for the slowest of them only
    const [session, tables] = await Promise.all([ask<Session>("/api/session"), ask<Record<string, number[][]>>("/api/colours")]);
    Object.assign(colours, tables);
    if (session.kind === "study") await study(session);
    else await results(session);
  } catch (error) {
    const denied = error instanceof Refused && (error.status === 401 || error.status === 403);
    top([]);
    problem(`${(error as Error).message}${denied ? " Open the address that bolus view printed." : ""}`);
  }
  document.addEventListener("keydown", (event) => {
    const act = actOf(event);
    if (!act || !open.viewer) return;
    void act(open.viewer, open.draw);
    event.preventDefault();
  });
}

void begin();
