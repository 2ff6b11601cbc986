// Without emulator mode, over TLS, against a server in production mode: the web SDK and the Admin SDK in Node.
import { readFileSync } from 'node:fs';
import { cert, initializeApp as initializeAdmin } from 'firebase-admin/app';
import { getFirestore } from 'firebase-admin/firestore';
import { initializeApp } from 'firebase/app';
import { doc, getDoc, initializeFirestore, onSnapshot, setDoc, terminate } from 'firebase/firestore';

const host = process.env.HOMEFIRE_HOST;
const result = {};

const db = initializeFirestore(initializeApp({ projectId: 'homefire', apiKey: 'key' }), { host, ssl: true });
await setDoc(doc(db, 'open/x'), { n: 1 });
result.web = (await getDoc(doc(db, 'open/x'))).data();
await new Promise((resolve, reject) => { onSnapshot(doc(db, 'open/x'), (snapshot) => snapshot.exists() && resolve(), reject); });
result.denied = await setDoc(doc(db, 'closed/x'), {}).then(() => 'made', (error) => error.code);
await terminate(db);

const key = JSON.parse(readFileSync(process.env.HOMEFIRE_KEY, 'utf8'));
const admin = getFirestore(initializeAdmin({ credential: cert(key), projectId: 'homefire' }));
admin.settings({ host, ssl: true });
await admin.doc('closed/y').set({ n: 2 });
result.admin = (await admin.doc('closed/y').get()).data();

console.log(`RESULT ${JSON.stringify(result)}`);
process.exit(0);
