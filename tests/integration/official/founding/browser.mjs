// The founding example in Chromium, unchanged.
import path from 'node:path';
import { readFile } from 'node:fs/promises';
import { bundle, launch, serve } from '../browser/chromium.mjs';
import { EXPORTS } from './exports.mjs';

const here = path.dirname(new URL(import.meta.url).pathname);
const pointed = {
  name: 'pointed',
  setup(build) {
    build.onResolve({ filter: /^firebase\// }, (args) => (args.importer.endsWith('firebase-example.js') ? { path: path.join(here, 'alias.mjs') } : undefined));
    build.onLoad({ filter: /firebase-example\.js$/ }, async (args) => ({ contents: (await readFile(args.path, 'utf8')) + EXPORTS, loader: 'js' }));
  },
};
const browser = await launch();
const origin = await serve(await bundle('../founding/page.mjs', [pointed]));
const page = await browser.newPage();
await page.addInitScript((url) => { globalThis.HOMEFIRE_URL = url; }, process.env.HOMEFIRE_URL);
await page.goto(origin);
await page.waitForFunction('window.playFounding');
const result = await page.evaluate('playFounding()');
process.stdout.write(`RESULT ${JSON.stringify(result)}\n`);
await browser.close();
process.exit(0);
