/** The notebook's part of the lab: hours left, warnings, saving, help, and who is here. */
import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { IDocumentManager } from '@jupyterlab/docmanager';
import { IStatusBar, type Popup, showPopup } from '@jupyterlab/statusbar';
import { Banner } from './banner';
import { Deeds } from './deeds';
import { Documents } from './documents';
import { Notices } from './notices';
import { Observing } from './observing';
import { Panel } from './popup';
import { SessionServer } from './server';
import { StatusItem } from './status';
import css from './style.css';
import { SessionWatch } from './watch';

const plugin: JupyterFrontEndPlugin<void> = {
  id: 'gpulab-session:plugin',
  description: 'GPU-hours left, warnings before the end, help from a TA, and who is here.',
  autoStart: true,
  optional: [IDocumentManager, IStatusBar],
  activate: (
    app: JupyterFrontEnd,
    documents: IDocumentManager | null,
    statusBar: IStatusBar | null
  ) => {
    void app.restored.then(() => start(app, documents, statusBar));
  }
};

export default plugin;

function start(
  app: JupyterFrontEnd,
  manager: IDocumentManager | null,
  statusBar: IStatusBar | null
): void {
  const style = document.createElement('style');
  style.textContent = css;
  document.head.append(style);
  const server = new SessionServer(app.serviceManager.serverSettings);
  const watch = new SessionWatch(() => server.facts());
  const deeds = new Deeds(server, watch, new Documents(app, manager));
  new Notices(watch, deeds);
  new Observing(app, watch);
  app.shell.add(new Banner(watch, deeds), 'header', { rank: 0 });
  const item = new StatusItem(watch, () => togglePanel(item, watch, deeds));
  statusBar?.registerStatusItem('gpulab-session:hours', {
    item,
    align: 'right',
    rank: 0,
    priority: 1,
    isActive: () => item.isShown,
    activeStateChanged: item.shownChanged
  });
}

let popup: Popup | null = null;

function togglePanel(item: StatusItem, watch: SessionWatch, deeds: Deeds): void {
  if (popup !== null && !popup.isDisposed) {
    popup.dispose();
    popup = null;
    return;
  }
  const body = new Panel(watch, deeds, () => popup?.dispose());
  popup = showPopup({ body, anchor: item, align: 'right', hasDynamicSize: true });
  popup.addClass('gpulab-popup');
  body.node.focus();
}
