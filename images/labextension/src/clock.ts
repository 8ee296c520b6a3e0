/** The server's time, whatever the browser's clock says: it is only asked how much time passes. */
export class ServerClock {
  private offsetMs: number | null = null;

  constructor(private readonly monotonicMs: () => number) {}

  /** Take the server's time from an answer that is `ageMs` old. */
  set(serverTimeMs: number, ageMs: number): void {
    this.offsetMs = serverTimeMs + ageMs - this.monotonicMs();
  }

  /** Return the server's time; null before the first answer. */
  nowMs(): number | null {
    return this.offsetMs === null ? null : this.offsetMs + this.monotonicMs();
  }
}
