// Node's loader hooks: what the founding example imports comes from alias.mjs, and its functions are exported.
import { EXPORTS } from './exports.mjs';

const example = new URL('./firebase-example.js', import.meta.url).href;
const alias = new URL('./alias.mjs', import.meta.url).href;

export async function resolve(specifier, context, next) {
  if (context.parentURL === example && specifier.startsWith('firebase/')) return { url: alias, shortCircuit: true, format: 'module' };
  return next(specifier, context);
}

export async function load(url, context, next) {
  const loaded = await next(url, url === example ? { ...context, format: 'module' } : context);
  return url === example ? { ...loaded, source: String(loaded.source) + EXPORTS } : loaded;
}
