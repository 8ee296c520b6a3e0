/** Asks the session's own server, on the page's own origin, with its cookie against forgery. */
import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';
import { type Answer, readAnswer } from './facts';

const WITHIN_MS = 15_000;
const NO_ANSWER = 'The lab did not answer. Try again in a minute.';

export interface Reply {
  isDone: boolean;
  /** What to tell the person where it was not done. */
  detail: string;
  body: unknown;
}

export class SessionServer {
  constructor(private readonly settings: ServerConnection.ISettings) {}

  /** Ask for the facts; whatever goes wrong is no answer. */
  async facts(): Promise<Answer> {
    try {
      const reply = await this.send('gpulab/facts', { method: 'GET', cache: 'no-store' });
      return reply.ok ? readAnswer(await reply.json()) : { kind: 'away' };
    } catch {
      return { kind: 'away' };
    }
  }

  /** Tell the lab something. */
  async put(path: string, body: object = {}): Promise<Reply> {
    try {
      const init = { method: 'PUT', body: JSON.stringify(body) };
      const reply = await this.send(`gpulab/${path}`, init);
      const found = reply.status === 204 ? {} : await reply.json();
      const said = found?.detail ?? found?.message ?? found?.title;
      const detail = typeof said === 'string' ? said : NO_ANSWER;
      return { isDone: reply.ok, detail: reply.ok ? '' : detail, body: found };
    } catch {
      return { isDone: false, detail: NO_ANSWER, body: {} };
    }
  }

  /** Tell whether the session's server is still there. */
  async isThere(): Promise<boolean> {
    try {
      return (await this.send('api/status', { method: 'GET', cache: 'no-store' })).ok;
    } catch {
      return false;
    }
  }

  private send(path: string, init: RequestInit): Promise<Response> {
    const url = URLExt.join(this.settings.baseUrl, path);
    const signal = AbortSignal.timeout(WITHIN_MS);
    // Where the session is gone, the proxy leads to the hub's pages: no answer for us.
    const given: RequestInit = { ...init, signal, redirect: 'manual' };
    return ServerConnection.makeRequest(url, given, this.settings);
  }
}
