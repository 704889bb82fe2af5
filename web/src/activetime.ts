// How long a reader has worked on an outline.

const INPUTS = ["pointermove", "pointerdown", "keydown", "wheel"];
const IDLE_MS = 30_000;

/** Seconds in which the reader did something: 30 s without input stop the clock. */
export class ActiveTime {
  private seconds = 0;
  private last = performance.now();
  private lastInput = performance.now();
  private readonly ticking: ReturnType<typeof setInterval>;
  private readonly input = (): void => {
    this.lastInput = performance.now();
  };

  constructor(private readonly show: (seconds: number) => void) {
    for (const name of INPUTS) addEventListener(name, this.input, { passive: true });
    this.ticking = setInterval(() => this.tick(), 500);
  }

  private tick(): void {
    const now = performance.now();
    if (!document.hidden && now - this.lastInput < IDLE_MS) this.seconds += (now - this.last) / 1000;
    this.last = now;
    this.show(this.seconds);
  }

  add(seconds: number): void {
    this.seconds += seconds;
  }

  get value(): number {
    return this.seconds;
  }

  stop(): void {
    clearInterval(this.ticking);
    for (const name of INPUTS) removeEventListener(name, this.input);
  }
}
