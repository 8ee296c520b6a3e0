/** The documents that are open: saving all of them, and naming the one in front. */
import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { IDocumentManager } from '@jupyterlab/docmanager';
import type { DocumentRegistry } from '@jupyterlab/docregistry';

export class Documents {
  constructor(
    private readonly app: JupyterFrontEnd,
    private readonly manager: IDocumentManager | null
  ) {}

  /** Save every document; return the paths of those that could not be saved. */
  async saveAll(): Promise<string[]> {
    const contexts = [...this.open()].filter(one => !one.model.readOnly);
    const saved = await Promise.allSettled(contexts.map(one => one.save()));
    const failed = contexts.filter((_, number) => saved[number]?.status === 'rejected');
    return failed.map(one => this.nameOf(one));
  }

  /** Return the path of the document in front, within the scholar's files; "" for none. */
  currentPath(): string {
    const widget = this.app.shell.currentWidget;
    const context = widget && this.manager?.contextForWidget(widget);
    return context ? this.nameOf(context) : '';
  }

  private open(): Set<DocumentRegistry.Context> {
    const found = new Set<DocumentRegistry.Context>();
    for (const widget of this.app.shell.widgets('main')) {
      const context = this.manager?.contextForWidget(widget);
      if (context) {
        found.add(context);
      }
    }
    return found;
  }

  private nameOf(context: DocumentRegistry.Context): string {
    return this.app.serviceManager.contents.localPath(context.path);
  }
}
