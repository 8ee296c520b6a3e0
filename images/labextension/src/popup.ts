/** What opens over the status bar: hours, session, GPU, who is here, help, and what one can do. */
import { Widget } from '@lumino/widgets';
import type { Deeds } from './deeds';
import type { Facts } from './facts';
import type { SessionWatch } from './watch';
import {
  helpText,
  hoursText,
  memoryText,
  momentText,
  rateText,
  useText,
  visitText
} from './words';

export class Panel extends Widget {
  private shown = '';

  constructor(
    private readonly watch: SessionWatch,
    private readonly deeds: Deeds,
    private readonly leave: () => void
  ) {
    super();
    this.addClass('gpulab-panel');
    this.node.tabIndex = -1;
    this.node.setAttribute('role', 'dialog');
    this.node.setAttribute('aria-label', 'GPU-hours and this session');
    watch.changed.connect(this.draw, this);
    this.draw();
  }

  dispose(): void {
    this.watch.changed.disconnect(this.draw, this);
    super.dispose();
  }

  private draw(): void {
    const facts = this.watch.facts;
    const lines: [string, string][] = facts === null ? [] : this.lines(facts);
    const buttons = facts === null ? [] : this.buttons(facts);
    const about = this.watch.isAway
      ? 'The lab does not answer just now. Your session goes on; this is what was known last.'
      : '';
    const shown = JSON.stringify([lines, buttons.map(one => one[0]), about]);
    if (shown !== this.shown) {
      this.shown = shown;
      this.fill(about, lines, buttons);
    }
  }

  private fill(about: string, lines: [string, string][], buttons: [string, () => void][]): void {
    const focused = (document.activeElement as HTMLElement | null)?.textContent;
    const list = document.createElement('dl');
    for (const [name, value] of lines) {
      list.append(make('dt', name), make('dd', value));
    }
    const row = make('div', '', 'gpulab-buttons');
    for (const [label, act] of buttons) {
      const button = make('button', label, 'jp-mod-styled') as HTMLButtonElement;
      button.type = 'button';
      button.addEventListener('click', () => {
        this.leave();
        act();
      });
      row.append(button);
    }
    const had = this.node.contains(document.activeElement);
    this.node.replaceChildren(...(about ? [make('p', about)] : []), list, row);
    if (had) {
      const again = [...row.children].find(one => one.textContent === focused);
      ((again as HTMLElement | undefined) ?? this.node).focus();
    }
  }

  private lines(facts: Facts): [string, string][] {
    const now = this.watch.nowMs();
    const lines: [string, string][] = [
      ['Left', `${hoursText(this.watch.leftMgpuMs())} GPU-hours`]
    ];
    if (facts.resetsAtMs !== null) {
      lines.push(['The next hours come', momentText(facts.resetsAtMs, now)]);
    }
    lines.push(['This session', `${facts.title}, ${rateText(facts.weightMgpu)}`]);
    if (facts.weightMgpu) {
      lines.push(['Used by it so far', `${hoursText(facts.chargedMgpuMs)} GPU-hours`]);
    }
    if (facts.endsAtMs !== null) {
      lines.push([
        'It ends',
        [momentText(facts.endsAtMs, now), facts.endText].filter(Boolean).join('. ')
      ]);
    }
    lines.push(...gpuLines(facts, now));
    lines.push(
      ...facts.attached.map((one): [string, string] => ['With you', visitText(one, now)])
    );
    if (facts.help !== null) {
      lines.push(['Help', helpText(facts.help)]);
    }
    return lines;
  }

  private buttons(facts: Facts): [string, () => void][] {
    const deeds = this.deeds;
    const found: [string, () => void][] = [];
    if (facts.help !== null) {
      found.push(['Withdraw the question', () => void deeds.withdraw()]);
    } else if (facts.canAsk) {
      found.push(['Ask a TA', () => void deeds.ask()]);
    }
    found.push(['My hours', () => deeds.openHours()]);
    if (facts.canKeep && facts.use?.releaseAtMs) {
      found.push(['Keep the GPU', () => void deeds.keep()]);
    }
    if (facts.isGpu) {
      found.push(['Go on on a CPU', () => void deeds.goOnWithoutGpu()]);
      found.push(['Release the GPU now', () => void deeds.release()]);
    }
    return found;
  }
}

function gpuLines(facts: Facts, now: number): [string, string][] {
  const { gpu, use } = facts;
  if (gpu === null) {
    return [];
  }
  const lines: [string, string][] = [['GPU', use ? `${gpu.name}, ${useText(use)}` : gpu.name]];
  if (use !== null && use.memoryMib !== null) {
    const of = gpu.memoryMib === null ? '' : ` of ${memoryText(gpu.memoryMib)}`;
    lines.push(['GPU memory', memoryText(use.memoryMib) + of]);
  }
  if (use?.releaseAtMs) {
    lines.push(['Given to others', `${momentText(use.releaseAtMs, now)}, unless it is used`]);
  }
  return lines;
}

function make(tag: string, text: string, className = ''): HTMLElement {
  const element = document.createElement(tag);
  element.textContent = text;
  element.className = className;
  return element;
}
