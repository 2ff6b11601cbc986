// Cases and their results: one JSON line a case on standard output, read by pytest.
import assert from 'node:assert/strict';
import { initializeApp, deleteApp } from 'firebase/app';
import { connectFirestoreEmulator, initializeFirestore, terminate } from 'firebase/firestore';

export { assert };
export const server = new URL(process.env.HOMEFIRE_URL);
export const host = server.hostname;
export const port = Number(server.port);

const cases = [];
const only = process.env.HOMEFIRE_CASE;
let counter = 0;

/** A case, which fails if it takes longer than `seconds`. */
export function test(name, run, seconds = 30) {
  cases.push({ name, run, seconds });
}

/** Run all cases, one after another, and end the process. */
export async function run() {
  for (const { name, run, seconds } of cases) {
    if (only && only !== name) continue;
    const result = { name, ok: true };
    const started = Date.now();
    try {
      await within(seconds * 1000, run(), name);
    } catch (error) {
      result.ok = false;
      result.error = String(error?.stack ?? error).slice(0, 3000);
    }
    result.seconds = (Date.now() - started) / 1000;
    console.log('CASE ' + JSON.stringify(result));
  }
  process.exit(0);
}

export function within(milliseconds, promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${milliseconds} ms: ${what}`)), milliseconds);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** An id that no other case uses. */
export function unique(prefix = 'c') {
  counter += 1;
  return `${prefix}${process.pid}x${counter}x${Math.random().toString(36).slice(2, 8)}`;
}

/** An app and its Firestore, pointed at the server. Without options: a client whom no rule binds. */
export function client({ project = 'demo', database, mockUserToken = 'owner', settings = {} } = {}) {
  const app = initializeApp({ projectId: project, apiKey: 'key', appId: '1:1:web:1' }, unique('app'));
  const db = database ? initializeFirestore(app, settings, database) : initializeFirestore(app, settings);
  connectFirestoreEmulator(db, host, port, mockUserToken === null ? {} : { mockUserToken });
  return { app, db, close: () => terminate(db).then(() => deleteApp(app)) };
}

/** Collects what a listener is told; `until` waits for the first value that fulfils a condition. */
export function collector() {
  const values = [];
  let failure = null;
  let waiting = [];
  const check = () => {
    waiting = waiting.filter(({ condition, resolve, reject }) => {
      if (failure) reject(failure);
      else {
        const hit = values.find(condition);
        if (hit === undefined) return true;
        resolve(hit);
      }
      return false;
    });
  };
  return {
    values,
    next: (value) => { values.push(value); check(); },
    error: (error) => { failure = error; check(); },
    until: (condition, what = 'condition') => within(
      10_000,
      new Promise((resolve, reject) => { waiting.push({ condition, resolve, reject }); check(); }),
      `${what}; seen ${values.length} values`,
    ),
  };
}

/** The code of the error that a promise rejects with. */
export async function codeOf(promise) {
  try {
    await promise;
  } catch (error) {
    return error.code;
  }
  throw new Error('it did not fail');
}

/** Load security rules into the server (an emulator control call). */
export async function loadRules(content, project = 'demo', name = 'firestore.rules') {
  const response = await fetch(new URL(`/emulator/v1/projects/${project}:securityRules`, server), {
    method: 'PUT',
    headers: { authorization: 'Bearer owner', 'content-type': 'application/json' },
    body: JSON.stringify({ rules: { files: [{ name, content }] } }),
  });
  if (!response.ok) throw new Error(`rules refused: ${await response.text()}`);
}
