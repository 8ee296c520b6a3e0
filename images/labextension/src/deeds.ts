/** What a scholar can do from the notebook. Each asks where something would be lost. */
import { Dialog, Notification, showDialog } from '@jupyterlab/apputils';
import { PageConfig, URLExt } from '@jupyterlab/coreutils';
import { UUID } from '@lumino/coreutils';
import { Widget } from '@lumino/widgets';
import type { Documents } from './documents';
import type { Visit } from './facts';
import type { Reply, SessionServer } from './server';
import type { SessionWatch } from './watch';
import { helpText } from './words';

const STOPS_WITHIN_MS = 90_000;
const LOOK_EVERY_MS = 2_000;
const ENDS = 'All documents are saved first. What is in the memory of your notebooks is lost.';

export class Deeds {
  private isLeaving = false;

  constructor(
    private readonly server: SessionServer,
    private readonly watch: SessionWatch,
    private readonly documents: Documents
  ) {}

  /** Save everything, and say what could not be saved. */
  async saveAll(): Promise<void> {
    const failed = await this.documents.saveAll();
    if (failed.length) {
      Notification.error(`Not saved: ${failed.join(', ')}`, { autoClose: false });
    } else {
      Notification.success('All documents are saved.', { autoClose: 10_000 });
    }
  }

  /** End this session and start one without a GPU, with the same software and files. */
  async goOnWithoutGpu(): Promise<void> {
    const title = 'Go on on a CPU?';
    const body = `This session ends, and one without a GPU starts. ${ENDS}`;
    if (await this.confirm(title, body, 'Go on on a CPU')) {
      await this.end(this.startAddress());
    }
  }

  /** End this session, so that others can have the GPU and no more hours are used. */
  async release(): Promise<void> {
    const body = `This session ends and uses no more hours. ${ENDS}`;
    if (await this.confirm('Release the GPU now?', body, 'Release the GPU')) {
      await this.end(this.homeAddress());
    }
  }

  /** Say why there is no session any more, and where to go on. */
  async tellOver(): Promise<void> {
    if (this.isLeaving) {
      return;
    }
    const facts = this.watch.facts;
    const goOn = Dialog.okButton({ label: facts?.isGpu ? 'Go on on a CPU' : 'Start again' });
    const hours = Dialog.createButton({ label: 'My hours' });
    const chosen = await showDialog({
      title: 'Your session has ended',
      body: `${facts?.endText ?? ''} Your files are kept.`.trim(),
      buttons: [Dialog.cancelButton({ label: 'Stay on this page' }), hours, goOn]
    });
    if (chosen.button === goOn) {
      await this.leave(this.startAddress());
    } else if (chosen.button === hours) {
      this.openHours();
    }
  }

  /** Ask for a TA, with the path of the document in front. */
  async ask(): Promise<void> {
    const path = this.documents.currentPath();
    const body = new Question(path);
    const chosen = await showDialog({
      title: 'Ask a TA',
      body,
      focusNodeSelector: 'textarea',
      buttons: [Dialog.cancelButton(), Dialog.okButton({ label: 'Ask' })]
    });
    const message = chosen.value?.trim() ?? '';
    if (!chosen.button.accept || !message) {
      return;
    }
    const given = { message, path: path || null };
    const reply = await this.server.put(`help/${UUID.uuid4()}`, given);
    if (!this.isDone(reply)) {
      return;
    }
    const help = asHelp(reply.body, message);
    this.watch.change({ help, canAsk: false });
    Notification.success(helpText(help), { autoClose: 10_000 });
  }

  /** Take the question back. */
  async withdraw(): Promise<void> {
    const id = this.watch.facts?.help?.id ?? '';
    if (this.isDone(await this.server.put(`help/${id}/withdraw`))) {
      this.watch.change({ help: null, canAsk: true });
    }
  }

  /** Keep a GPU for a while that nothing uses. */
  async keep(): Promise<void> {
    const use = this.watch.facts?.use ?? null;
    if (this.isDone(await this.server.put('keep')) && use !== null) {
      this.watch.change({ use: { ...use, releaseAtMs: null }, canKeep: false });
      Notification.success('The GPU is kept for you.', { autoClose: 10_000 });
    }
  }

  /** Send a visitor out. */
  async endVisit(visit: Visit): Promise<void> {
    if (this.isDone(await this.server.put(`attachments/${visit.id}/end`))) {
      const attached = this.watch.facts?.attached ?? [];
      this.watch.change({ attached: attached.filter(one => one.id !== visit.id) });
    }
  }

  openHours(): void {
    window.open(this.watch.facts?.hoursUrl || this.homeAddress(), '_blank', 'noopener');
  }

  private async confirm(title: string, body: string, label: string): Promise<boolean> {
    const buttons = [Dialog.cancelButton(), Dialog.warnButton({ label })];
    return (await showDialog({ title, body, buttons, defaultButton: 0 })).button.accept;
  }

  private async end(address: string): Promise<void> {
    await this.saveAll();
    if (this.isDone(await this.server.put('done'))) {
      await this.leave(address);
    }
  }

  /** Go to another page when the session is gone: before, the hub would lead back here. */
  private async leave(address: string): Promise<void> {
    this.isLeaving = true;
    const id = Notification.emit('The session is being stopped…', 'in-progress', {
      autoClose: false
    });
    const until = performance.now() + STOPS_WITHIN_MS;
    while (performance.now() < until && (await this.server.isThere())) {
      await new Promise(resolve => window.setTimeout(resolve, LOOK_EVERY_MS));
    }
    Notification.dismiss(id);
    window.location.assign(address);
  }

  private isDone(reply: Reply): boolean {
    if (!reply.isDone) {
      Notification.error(reply.detail, { autoClose: 15_000 });
    }
    return reply.isDone;
  }

  /** With an image and no flavor, the hub starts what costs nothing. */
  private startAddress(): string {
    const facts = this.watch.facts;
    const [user, server] = [
      PageConfig.getOption('hubUser'),
      PageConfig.getOption('hubServerName')
    ];
    const start = facts?.startUrl || hubAddress('spawn', user, server);
    const image = facts?.image ?? '';
    return image ? `${start}?opt-image=${encodeURIComponent(image)}` : start;
  }

  private homeAddress(): string {
    return hubAddress('home');
  }
}

function hubAddress(...parts: string[]): string {
  const [host, prefix] = [PageConfig.getOption('hubHost'), PageConfig.getOption('hubPrefix')];
  return host + URLExt.join(prefix || '/hub/', ...parts.map(encodeURIComponent));
}

function asHelp(given: unknown, message: string) {
  const found = (given ?? {}) as { id?: unknown; state?: unknown; place?: unknown };
  return {
    id: String(found.id ?? ''),
    state: String(found.state ?? 'waiting'),
    place: typeof found.place === 'number' ? found.place : null,
    message,
    claimedBy: ''
  };
}

/** The inside of the dialog: what is wrong, and which document goes along. */
class Question extends Widget implements Dialog.IBodyWidget<string> {
  private readonly area = document.createElement('textarea');

  constructor(path: string) {
    super();
    this.addClass('gpulab-question');
    const label = document.createElement('label');
    label.textContent = 'What do you need help with?';
    this.area.maxLength = 1000;
    this.area.rows = 4;
    label.append(this.area);
    const along = document.createElement('p');
    along.textContent = path ? `The TA is told that you are in ${path}.` : '';
    this.node.append(label, along);
  }

  getValue(): string {
    return this.area.value;
  }
}
