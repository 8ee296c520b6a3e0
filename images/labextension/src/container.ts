/** The container by which JupyterLab loads this extension: module federation, by hand. */

type Factory = () => unknown;
interface Offer {
  get: () => Promise<Factory> | Factory;
  loaded?: number | boolean;
}
type Scope = Record<string, Record<string, Offer>>;

/** What is imported from the share scope; written in by build.mjs. */
declare const SHARED_PACKAGES: string[];

declare global {
  var gpulabShared: Record<string, unknown>;
  var _JUPYTERLAB: Record<string, unknown>;
}

export {};

let scope: Scope = {};

/** The packages are JupyterLab's own singletons: the one that is in use, where there are more. */
async function fetchShared(name: string): Promise<void> {
  const offers = Object.values(scope[name] ?? {});
  const offer = offers.find(one => one.loaded) ?? offers[0];
  if (!offer) {
    throw new Error(`JupyterLab has no ${name}`);
  }
  globalThis.gpulabShared[name] = (await offer.get())();
}

async function get(module: string): Promise<Factory> {
  if (module !== './extension') {
    throw new Error(`gpulab-session has no ${module}`);
  }
  globalThis.gpulabShared ??= {};
  await Promise.all(SHARED_PACKAGES.map(fetchShared));
  // Evaluated now that what it imports is there.
  const extension = await import('./index');
  // JupyterLab writes into what it gets, and looks for this mark.
  return () => ({ __esModule: true, default: extension.default });
}

function init(given: Scope): void {
  scope = given;
}

globalThis._JUPYTERLAB ??= {};
globalThis._JUPYTERLAB['gpulab-session'] = { get, init };
