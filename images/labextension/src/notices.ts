/** Notifications before the end of a session, with a countdown in the last minutes. */
import { Notification } from '@jupyterlab/apputils';
import type { Deeds } from './deeds';
import type { Due } from './warnings';
import type { SessionWatch } from './watch';
import { countdownText, minutesText, momentText } from './words';

const SOON_MS = 15 * 60_000;

export class Notices {
  private warning = '';
  private countdown = '';
  private idle = '';
  private idleToldFor = 0;

  constructor(
    private readonly watch: SessionWatch,
    private readonly deeds: Deeds
  ) {
    watch.endComes.connect((_, now) => this.tell(now));
    watch.changed.connect(() => this.tellIdle());
  }

  private tell(now: Due): void {
    if (now.warnMin !== null) {
      this.warn(now.warnMin);
    }
    this.count(now.isCounted);
    if (now.isSaveDue) {
      void this.deeds.saveAll();
    }
    if (now.isOver) {
      this.dropWarning();
      void this.deeds.tellOver();
    }
  }

  private warn(minutes: number): void {
    const facts = this.watch.facts;
    const left = minutesText(Math.min(minutes * 60_000, this.watch.leftMs() ?? 0));
    const actions: Notification.IAction[] = [
      { label: 'My hours', callback: () => this.deeds.openHours() }
    ];
    if (facts?.isGpu) {
      actions.push({ label: 'Go on on a CPU', callback: () => void this.deeds.goOnWithoutGpu() });
    }
    this.dropWarning();
    const text = `Your session ends in ${left}. ${facts?.endText ?? ''}`.trim();
    this.warning = Notification.warning(text, { autoClose: false, actions });
  }

  /** A countdown that was closed stays closed. */
  private count(isCounted: boolean): void {
    if (!isCounted) {
      this.dropCountdown();
      return;
    }
    const message = `This session ends in ${countdownText(this.watch.leftMs() ?? 0)}`;
    if (!this.countdown) {
      this.countdown = Notification.emit(message, 'in-progress', { autoClose: false });
    } else {
      Notification.update({ id: this.countdown, message });
    }
  }

  private dropWarning(): void {
    if (this.warning) {
      Notification.dismiss(this.warning);
      this.warning = '';
    }
  }

  private dropCountdown(): void {
    if (this.countdown) {
      Notification.dismiss(this.countdown);
      this.countdown = '';
    }
  }

  /** Say once that a GPU which nothing uses goes to others, and take it back when it is used. */
  private tellIdle(): void {
    const facts = this.watch.facts;
    const at = facts?.use?.releaseAtMs ?? null;
    const isSoon = at !== null && at - this.watch.nowMs() <= SOON_MS;
    if (!isSoon || !facts) {
      if (this.idle) {
        Notification.dismiss(this.idle);
        this.idle = '';
      }
      return;
    }
    if (at !== this.idleToldFor) {
      this.idleToldFor = at;
      const when = momentText(at, this.watch.nowMs());
      this.idle = Notification.warning(`Nothing uses your GPU. It goes to others at ${when}.`, {
        autoClose: false,
        actions: facts.canKeep
          ? [{ label: 'Keep the GPU', callback: () => void this.deeds.keep() }]
          : []
      });
    }
  }
}
