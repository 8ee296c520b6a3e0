/** Keeps what the lab says of this session, and the server's time, as long as the page is open. */
import { Poll } from '@lumino/polling';
import { type ISignal, Signal } from '@lumino/signaling';
import { ServerClock } from './clock';
import type { Answer, Facts, Visit } from './facts';
import { type Due, due, nothingTold, pollMs, type Told } from './warnings';
import { leftMgpuMs } from './words';

const TICK_MS = 1000;
const LEAST_PAUSE_MS = 30_000;
const KEPT_AS = 'gpulab-session:told';

export interface Visitor {
  mode: string;
  scholar: string;
  attached: Visit[];
}

export class SessionWatch {
  facts: Facts | null = null;
  visitor: Visitor | null = null;
  isAway = false;

  private readonly clock = new ServerClock(() => performance.now());
  private readonly poll: Poll;
  private readonly signal = new Signal<this, void>(this);
  private readonly dueSignal = new Signal<this, Due>(this);
  private told: Told = nothingTold('');
  private answeredMs = 0;
  private askedMs = Number.NEGATIVE_INFINITY;

  constructor(private readonly ask: () => Promise<Answer>) {
    this.poll = new Poll({
      name: 'gpulab-session:facts',
      factory: () => this.look(),
      frequency: { interval: LEAST_PAUSE_MS, backoff: false, max: LEAST_PAUSE_MS },
      standby: () => document.hidden
    });
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden && performance.now() - this.askedMs >= LEAST_PAUSE_MS) {
        void this.poll.refresh();
      }
    });
    window.setInterval(() => this.tick(), TICK_MS);
  }

  /** Emitted when there is something new to show, once in a second at the least. */
  get changed(): ISignal<this, void> {
    return this.signal;
  }

  /** Emitted when the end of the session comes near. */
  get endComes(): ISignal<this, Due> {
    return this.dueSignal;
  }

  /** Return the server's time; the browser's own counts for nothing. */
  nowMs(): number {
    return this.clock.nowMs() ?? 0;
  }

  /** Return how long the session goes on; null where that is not known. */
  leftMs(): number | null {
    if (this.facts?.state === 'stopping') {
      return 0;
    }
    const endsAt = this.facts?.endsAtMs ?? null;
    return endsAt === null ? null : endsAt - this.nowMs();
  }

  /** Return what is left of the hours, counted on since the last answer. */
  leftMgpuMs(): number {
    return this.facts === null ? 0 : leftMgpuMs(this.facts, this.nowMs() - this.answeredMs);
  }

  /** Take over what a deed has changed, without asking for it. */
  change(changed: Partial<Facts>): void {
    if (this.facts !== null) {
      this.facts = { ...this.facts, ...changed };
      this.signal.emit();
    }
  }

  private async look(): Promise<void> {
    this.askedMs = performance.now();
    this.take(await this.ask());
    const left = this.leftMs();
    const interval = pollMs(this.facts?.pollAfterS ?? 30, left);
    this.poll.frequency = { interval, backoff: false, max: Math.max(interval, LEAST_PAUSE_MS) };
  }

  private take(answer: Answer): void {
    this.isAway = answer.kind === 'away';
    if (answer.kind === 'owner') {
      this.clock.set(answer.serverTimeMs, answer.ageMs);
      this.answeredMs = answer.serverTimeMs;
      this.facts = answer.facts;
      if (this.told.leaseId !== answer.facts.leaseId) {
        this.told = remembered(answer.facts.leaseId);
      }
    } else if (answer.kind === 'visitor') {
      this.visitor = { ...answer };
    }
    this.tick();
  }

  private tick(): void {
    const left = this.leftMs();
    if (left !== null && this.facts !== null) {
      const now = due(this.told, left, this.facts.warnMin, document.hidden);
      this.told = now.told;
      sessionStorage.setItem(KEPT_AS, JSON.stringify(this.told));
      this.dueSignal.emit(now);
    }
    this.signal.emit();
  }
}

function remembered(leaseId: string): Told {
  try {
    const kept: Told = JSON.parse(sessionStorage.getItem(KEPT_AS) ?? '{}');
    return kept.leaseId === leaseId ? kept : nothingTold(leaseId);
  } catch {
    return nothingTold(leaseId);
  }
}
