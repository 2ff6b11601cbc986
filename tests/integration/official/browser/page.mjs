// Everything of the web SDK, for the pages that the cases drive.
import * as app from 'firebase/app';
import * as auth from 'firebase/auth';
import * as firestore from 'firebase/firestore';
import * as storage from 'firebase/storage';

let counter = 0;

/** A Firestore pointed at the server, with the settings under test. */
function database({ host, port, settings = {}, user = 'owner', cache, project = 'demo', name }) {
  counter += 1;
  const own = app.initializeApp({ projectId: project, apiKey: 'fake-key', storageBucket: 'demo.appspot.com' }, name ?? `app${counter}`);
  const localCache = {
    persistent: () => firestore.persistentLocalCache(),
    tabs: () => firestore.persistentLocalCache({ tabManager: firestore.persistentMultipleTabManager() }),
  }[cache]?.();
  const db = firestore.initializeFirestore(own, localCache ? { ...settings, localCache } : settings);
  firestore.connectFirestoreEmulator(db, host, port, user === null ? {} : { mockUserToken: user });
  return db;
}

/** Resolves with the first value of a listener that fulfils a condition. */
function until(subscribe, condition) {
  return new Promise((resolve, reject) => {
    const seen = [];
    const timer = setTimeout(() => reject(new Error(`not seen; seen ${JSON.stringify(seen).slice(0, 1000)}`)), 20_000);
    const stop = subscribe((value) => {
      seen.push(value);
      if (condition(value)) {
        clearTimeout(timer);
        queueMicrotask(() => stop());
        resolve(value);
      }
    }, (error) => { clearTimeout(timer); reject(error); });
  });
}

const sleep = (milliseconds) => new Promise((resolve) => { setTimeout(resolve, milliseconds); });

Object.assign(window, { app, auth, firestore, storage, database, until, sleep, ready: true });
