// npm `firebase/app`: apps of servers, which act for the user whose token they are given.
import { initializeApp, initializeServerApp } from 'firebase/app';
import { connectAuthEmulator, createUserWithEmailAndPassword, getAuth, onAuthStateChanged } from 'firebase/auth';
import { connectFirestoreEmulator, doc, getDoc, getFirestore, setDoc } from 'firebase/firestore';
import { connectFirestoreEmulator as connectLite, doc as liteDoc, getDoc as getLiteDoc, getFirestore as getLite } from 'firebase/firestore/lite';
import { assert, client, codeOf, host, loadRules, port, run, server, test, unique } from './harness.mjs';

const OWN = `rules_version = '2';
service cloud.firestore { match /databases/{d}/documents { match /own/{uid} {
  allow read, write: if request.auth.uid == uid; } } }`;

test('app: a server app acts for the user of a token', async () => {
  const config = { projectId: 'demo-auth', apiKey: 'fake-key' };
  const browser = getAuth(initializeApp(config, unique('browser')));
  connectAuthEmulator(browser, server.origin, { disableWarnings: true });
  const { user } = await createUserWithEmailAndPassword(browser, `${unique('u')}@example.com`, 'correct horse');
  const { aud: project } = JSON.parse(Buffer.from((await user.getIdToken()).split('.')[1], 'base64url'));
  await loadRules(OWN, project);
  const { db: owner, close } = client({ project });
  await setDoc(doc(owner, 'own', user.uid), { n: 1 });
  await close();

  const app = initializeServerApp({ ...config, projectId: project }, { authIdToken: await user.getIdToken() });
  const auth = getAuth(app);
  connectAuthEmulator(auth, server.origin, { disableWarnings: true });
  const signedIn = await new Promise((resolve, reject) => { onAuthStateChanged(auth, (found) => found && resolve(found), reject); });
  assert.equal(signedIn.uid, user.uid);
  const db = getFirestore(app);
  connectFirestoreEmulator(db, host, port);
  assert.deepEqual((await getDoc(doc(db, 'own', user.uid))).data(), { n: 1 });
  assert.equal(await codeOf(getDoc(doc(db, 'own', 'somebody'))), 'permission-denied');
  const lite = getLite(app);
  connectLite(lite, host, port);
  assert.deepEqual((await getLiteDoc(liteDoc(lite, 'own', user.uid))).data(), { n: 1 });
});

await run();
