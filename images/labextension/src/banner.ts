/** The line over everything: who is in this session, or that one observes somebody else's. */
import { Widget } from '@lumino/widgets';
import type { Deeds } from './deeds';
import type { Visit } from './facts';
import type { SessionWatch } from './watch';
import { visitText } from './words';

const LINE_PX = 36;

export class Banner extends Widget {
  private shown = '';

  constructor(
    private readonly watch: SessionWatch,
    private readonly deeds: Deeds
  ) {
    super();
    this.id = 'gpulab-banner';
    this.addClass('gpulab-banner');
    this.node.setAttribute('role', 'status');
    watch.changed.connect(this.draw, this);
    this.draw();
  }

  private draw(): void {
    const { visitor, facts } = this.watch;
    const lines: [string, Visit | null][] = visitor
      ? [[visitorText(visitor.mode, visitor.scholar), null]]
      : (facts?.attached ?? []).map(one => [visitText(one, this.watch.nowMs()), one]);
    const shown = JSON.stringify(lines);
    if (shown === this.shown) {
      return;
    }
    this.shown = shown;
    this.node.replaceChildren(...lines.map(([text, visit]) => this.line(text, visit)));
    this.setHidden(lines.length === 0);
    // The page makes as much room as this asks for.
    this.node.style.minHeight = `${lines.length * LINE_PX}px`;
    this.parent?.fit();
  }

  private line(text: string, visit: Visit | null): HTMLElement {
    const line = document.createElement('div');
    const words = document.createElement('span');
    words.textContent = text;
    line.append(words);
    if (visit !== null) {
      const button = document.createElement('button');
      button.type = 'button';
      button.className = 'jp-mod-styled';
      button.textContent = 'End the visit';
      button.addEventListener('click', () => void this.deeds.endVisit(visit));
      line.append(button);
    }
    return line;
  }
}

function visitorText(mode: string, scholar: string): string {
  return mode === 'observe'
    ? `Observing: this is the session of ${scholar}. You can read, and change or run nothing.`
    : `You edit together with ${scholar}, in their session.`;
}
