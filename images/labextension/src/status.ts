/** The item in the status bar: hours left, what an hour costs, when the session ends. */
import { type ISignal, Signal } from '@lumino/signaling';
import { Widget } from '@lumino/widgets';
import { spokenMinutes } from './warnings';
import type { SessionWatch } from './watch';
import { minutesText, statusText } from './words';

const LOW_MS = 15 * 60_000;

export class StatusItem extends Widget {
  private readonly button = document.createElement('button');
  private readonly spoken = document.createElement('span');
  private readonly shownSignal = new Signal<this, void>(this);

  /** Whether the status bar shows it: to the owner, once there is something to say. */
  isShown = false;

  constructor(
    private readonly watch: SessionWatch,
    open: () => void
  ) {
    super();
    this.addClass('gpulab-status');
    this.button.type = 'button';
    this.button.title = 'GPU-hours, this session, and help';
    this.button.addEventListener('click', open);
    this.spoken.setAttribute('role', 'status');
    this.spoken.className = 'gpulab-spoken';
    this.node.append(this.button, this.spoken);
    watch.changed.connect(this.draw, this);
    this.draw();
  }

  get shownChanged(): ISignal<this, void> {
    return this.shownSignal;
  }

  private draw(): void {
    const { facts, isAway, visitor } = this.watch;
    const left = this.watch.leftMs();
    const isShown = visitor === null && (facts !== null || isAway);
    if (isShown !== this.isShown) {
      this.isShown = isShown;
      this.shownSignal.emit();
    }
    put(this.button, this.text());
    this.toggleClass('gpulab-low', !isAway && left !== null && left <= LOW_MS);
    const minutes = facts ? spokenMinutes(left, facts.warnMin) : null;
    put(this.spoken, minutes ? `Your session ends in ${minutesText(minutes * 60_000)}.` : '');
  }

  private text(): string {
    const facts = this.watch.facts;
    if (this.watch.isAway || facts === null) {
      return 'GPU hours: no answer';
    }
    return statusText(facts, this.watch.leftMgpuMs(), this.watch.nowMs());
  }
}

/** Touch the text only when it changes: what is the same is not read out again. */
function put(element: HTMLElement, text: string): void {
  if (element.textContent !== text) {
    element.textContent = text;
  }
}
