// Points the SDK at the server, so that the founding example can stay as it is: its imports of `firebase/*` come
// here, and what it does not export is handed out at its end.
import { getAuth as realGetAuth, connectAuthEmulator } from 'firebase/auth';
import { getFirestore as realGetFirestore, connectFirestoreEmulator } from 'firebase/firestore';
import { getStorage as realGetStorage, connectStorageEmulator } from 'firebase/storage';

export { initializeApp } from 'firebase/app';
export { addDoc, collection, getDocs, limit, onSnapshot, orderBy, query, where } from 'firebase/firestore';
export { createUserWithEmailAndPassword, onAuthStateChanged, signInWithEmailAndPassword } from 'firebase/auth';
export { getDownloadURL, ref, uploadBytes } from 'firebase/storage';

const server = new URL(globalThis.HOMEFIRE_URL ?? process.env.HOMEFIRE_URL);

export function getFirestore(app) {
  const db = realGetFirestore(app);
  connectFirestoreEmulator(db, server.hostname, Number(server.port));
  return db;
}

export function getAuth(app) {
  const auth = realGetAuth(app);
  connectAuthEmulator(auth, server.origin, { disableWarnings: true });
  return auth;
}

export function getStorage(app) {
  const storage = realGetStorage(app);
  connectStorageEmulator(storage, server.hostname, Number(server.port));
  return storage;
}
