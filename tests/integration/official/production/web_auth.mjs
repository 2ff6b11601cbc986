// The web SDK's auth in Node, over TLS, against a server in production mode; its user is Firestore's as well.
import { initializeApp } from 'firebase/app';
import {
  connectAuthEmulator, createUserWithEmailAndPassword, getAuth, getIdTokenResult, signInWithEmailAndPassword, signOut,
} from 'firebase/auth';
import { doc, getDoc, initializeFirestore, setDoc, terminate } from 'firebase/firestore';

const host = process.env.HOMEFIRE_HOST;
const app = initializeApp({ projectId: 'homefire', apiKey: 'key' });
const auth = getAuth(app);
connectAuthEmulator(auth, `https://${host}`, { disableWarnings: true });
const db = initializeFirestore(app, { host, ssl: true });
const { user } = await createUserWithEmailAndPassword(auth, 'node@example.com', 'correct horse');
await setDoc(doc(db, 'own', user.uid), { n: 1 });
await signOut(auth);
const denied = await getDoc(doc(db, 'own', user.uid)).then(() => 'read', (error) => error.code);
const wrong = await signInWithEmailAndPassword(auth, 'node@example.com', 'wrong horse').catch((error) => error.code);
const again = (await signInWithEmailAndPassword(auth, 'node@example.com', 'correct horse')).user;
const token = await getIdTokenResult(again, true);
const signed = JSON.parse(Buffer.from(token.token.split('.')[0], 'base64url')).alg;
const read = (await getDoc(doc(db, 'own', again.uid))).data();
await terminate(db);
console.log(`RESULT ${JSON.stringify({ denied, wrong, provider: token.signInProvider, signed, read })}`);
process.exit(0);
