// Prints, as JSON, what the installed SDKs export: functions of the web SDK, methods of the Admin SDK's classes.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const isClass = (value) => /^class\b/.test(Function.prototype.toString.call(value));

async function functionsOf(module) {
  const exported = await import(module);
  return Object.keys(exported).filter((name) => typeof exported[name] === 'function' && /^[a-z]/.test(name) && !isClass(exported[name]));
}

/** Public methods of a class, by its declaration; members of TypeScript's `private` and `@internal` are not in it. */
function declared(file, classes) {
  const text = readFileSync(file, 'utf8');
  const names = new Set();
  for (const name of classes) {
    const body = text.match(new RegExp(`^( *)export (?:declare )?(?:abstract )?class ${name}\\b[^{]*\\{\\r?\\n([\\s\\S]*?)^\\1\\}`, 'm'));
    if (!body) throw new Error(`${file} declares no class ${name}`);
    for (const [, method] of body[2].matchAll(/^ *(?:static |abstract )*([a-z]\w*)(?:<[^(]*>)?\(/gm)) {
      if (method !== 'constructor') names.add(method);
    }
  }
  return [...names];
}

const folder = (name) => fileURLToPath(new URL(`../node_modules/${name}`, import.meta.url));
const found = {};
const modules = ['firebase/app', 'firebase/auth', 'firebase/firestore', 'firebase/firestore/lite', 'firebase/firestore/pipelines', 'firebase/storage', '@firebase/rules-unit-testing'];
for (const module of modules) found[module] = await functionsOf(module);
found['firebase-admin/firestore'] = declared(folder('@google-cloud/firestore/types/firestore.d.ts'), [
  'Firestore', 'Transaction', 'BulkWriter', 'WriteBatch', 'DocumentReference', 'Query', 'CollectionReference',
  'CollectionGroup', 'AggregateQuery', 'FieldValue', 'Filter', 'AggregateField', 'BundleBuilder', 'QueryPartition',
]);
const admin = folder('firebase-admin/lib');
found['firebase-admin/auth'] = [
  ...declared(`${admin}/auth/base-auth.d.ts`, ['BaseAuth']),
  ...declared(`${admin}/auth/tenant-manager.d.ts`, ['TenantManager']),
  ...declared(`${admin}/auth/project-config-manager.d.ts`, ['ProjectConfigManager']),
];
found['firebase-admin/storage'] = [...declared(`${admin}/storage/storage.d.ts`, ['Storage']), ...await functionsOf('firebase-admin/storage')];
console.log('EXPORTS ' + JSON.stringify(found));
