/** An observer's page: documents that cannot be edited, commands that change nothing. The server
 * drops what an observer sends in any case; here the page does not look as if it took it.
 */
import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { Widget } from '@lumino/widgets';
import { mayObserve } from './commands';
import type { SessionWatch } from './watch';

interface Editable {
  content?: {
    widgets?: readonly { readOnly?: boolean }[];
    modelContentChanged?: { connect: (slot: () => void) => unknown };
    editor?: { setOption?: (name: string, value: unknown) => void };
  };
}

export class Observing {
  private isOn = false;
  private readonly locked = new WeakSet<object>();

  constructor(
    private readonly app: JupyterFrontEnd,
    private readonly watch: SessionWatch
  ) {
    watch.changed.connect(this.look, this);
  }

  private look(): void {
    const mode = this.watch.visitor?.mode;
    if (mode === 'observe') {
      this.begin();
      this.lockAll();
    } else if (mode === 'co_edit' && this.isOn) {
      // Nothing here was changed: the page comes back as one that can be edited.
      window.location.reload();
    }
  }

  private begin(): void {
    if (this.isOn) {
      return;
    }
    this.isOn = true;
    document.body.classList.add('gpulab-observing');
    const { commands } = this.app;
    const execute = commands.execute.bind(commands);
    commands.execute = (id, args) =>
      mayObserve(id) ? execute(id, args) : Promise.resolve(undefined);
    for (const kind of ['drop', 'lm-drop', 'paste', 'cut']) {
      document.addEventListener(kind, stopInDocuments, { capture: true });
    }
  }

  private lockAll(): void {
    for (const widget of this.app.shell.widgets('main')) {
      this.lock(widget);
    }
  }

  private lock(widget: Widget): void {
    const content = (widget as Editable).content;
    content?.editor?.setOption?.('readOnly', true);
    for (const cell of content?.widgets ?? []) {
      if (cell.readOnly === false) {
        cell.readOnly = true;
      }
    }
    if (content?.modelContentChanged && !this.locked.has(content)) {
      this.locked.add(content);
      content.modelContentChanged.connect(() => this.lock(widget));
    }
  }
}

function stopInDocuments(event: Event): void {
  if (event.target instanceof Element && event.target.closest('.jp-Document')) {
    event.preventDefault();
    event.stopImmediatePropagation();
  }
}
