// Bundles the browser's part into built/labextensions/gpulab-session, as JupyterLab loads it.
//
// JupyterLab hands its own packages to extensions in a "share scope", and takes from each a
// container with `init` and `get`: module federation. As every package of JupyterLab's is shared,
// that is twenty lines (src/container.ts), and esbuild alone makes the bundle: none of those
// packages is needed here, and an installation takes seconds.
import { createHash } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const HERE = dirname(fileURLToPath(import.meta.url));
const OUT = join(HERE, 'built', 'labextensions', 'gpulab-session');
const SHARED = /^@(jupyterlab|lumino)\//;

const used = new Set();
const shared = {
  name: 'shared',
  setup(bundle) {
    bundle.onResolve({ filter: SHARED }, ({ path }) => {
      used.add(path);
      return { path, namespace: 'shared' };
    });
    bundle.onLoad({ filter: /.*/, namespace: 'shared' }, ({ path }) => ({
      contents: `module.exports = globalThis.gpulabShared[${JSON.stringify(path)}];`
    }));
  }
};

async function bundle(entry, define = {}) {
  const { outputFiles } = await build({
    entryPoints: [join(HERE, 'src', entry)],
    bundle: true,
    minify: true,
    write: false,
    format: 'iife',
    target: 'es2022',
    charset: 'utf8',
    loader: { '.css': 'text' },
    logLevel: 'warning',
    plugins: [shared],
    define
  });
  return outputFiles[0].contents;
}

// What the container has to fetch from the share scope is known when everything was read once.
await bundle('index.ts');
const packages = [...used].sort();
const code = await bundle('container.ts', { SHARED_PACKAGES: JSON.stringify(packages) });
const hash = createHash('sha256').update(code).digest('hex').slice(0, 20);
const load = `static/remoteEntry.${hash}.js`;

const { name, version, description, license, devDependencies } = JSON.parse(
  await readFile(join(HERE, 'package.json'), 'utf8')
);
const about = {
  name,
  version,
  description,
  license,
  dependencies: Object.fromEntries(packages.map(one => [one, `^${devDependencies[one]}`])),
  jupyterlab: { extension: true, _build: { load, extension: './extension' } }
};
await rm(OUT, { recursive: true, force: true });
await mkdir(join(OUT, 'static'), { recursive: true });
await writeFile(join(OUT, load), code);
await writeFile(join(OUT, 'package.json'), `${JSON.stringify(about, null, 2)}\n`);
console.log(`The notebook's part of the lab: ${(code.length / 1000).toFixed(1)} kB`);
