// npm `firebase` in Chromium: auth with persistence, and uploads.
import { assert, host, port, run, server, test, unique } from '../node/harness.mjs';
import { bundle, launch, serve } from './chromium.mjs';

const browser = await launch();
const origin = await serve(await bundle('page.mjs'));
const given = { host, port, url: server.origin };

async function open(context) {
  const page = await (context ?? await browser.newContext()).newPage();
  await page.goto(origin);
  await page.waitForFunction('window.ready');
  return page;
}

test('browser: a signed-in user is still there after a reload', async () => {
  const page = await open();
  const address = `${unique('user')}@example.com`;
  const start = (args) => {
    const own = app.initializeApp({ projectId: 'homefire', apiKey: 'fake-key' }, 'auth');
    window.own = auth.getAuth(own);
    auth.connectAuthEmulator(window.own, args.url, { disableWarnings: true });
  };
  await page.evaluate(start, given);
  const uid = await page.evaluate(async (email) => (await auth.createUserWithEmailAndPassword(own, email, 'secret-1')).user.uid, address);
  await page.reload();
  await page.waitForFunction('window.ready');
  await page.evaluate(start, given);
  const after = await page.evaluate(async () => { await own.authStateReady(); return [own.currentUser.uid, own.currentUser.email]; });
  assert.deepEqual(after, [uid, address]);
  await page.evaluate(() => auth.signOut(own));
  await page.reload();
  await page.waitForFunction('window.ready');
  await page.evaluate(start, given);
  assert.equal(await page.evaluate(async () => { await own.authStateReady(); return own.currentUser; }), null);
  await page.context().close();
});

test('browser: signing in while listening changes whom the listener is', async () => {
  const page = await open();
  const result = await page.evaluate(async (args) => {
    const own = app.initializeApp({ projectId: 'homefire', apiKey: 'fake-key' }, 'both');
    const users = auth.getAuth(own);
    auth.connectAuthEmulator(users, args.url, { disableWarnings: true });
    const db = firestore.getFirestore(own);
    firestore.connectFirestoreEmulator(db, args.host, args.port);
    const reference = firestore.doc(db, args.path);
    const values = [];
    firestore.onSnapshot(reference, (snapshot) => values.push(snapshot.data()?.n ?? null), (error) => values.push(error.code));
    while (!values.length) await sleep(20);
    const { user } = await auth.signInAnonymously(users);
    await firestore.setDoc(reference, { n: user.uid });
    while (!values.includes(user.uid)) await sleep(20);
    await auth.signOut(users);
    await firestore.setDoc(reference, { n: 'signed out' });
    while (!values.includes('signed out')) await sleep(20);
    return values.filter((value) => typeof value === 'string' && value.includes('denied'));
  }, { ...given, path: `${unique()}/x` });
  assert.deepEqual(result, []);
  await page.context().close();
});

test('browser: a telephone number signs in, by its code alone', async () => {
  const page = await open();
  const result = await page.evaluate(async (args) => {
    const own = app.initializeApp({ projectId: 'homefire', apiKey: 'fake-key' }, 'phone');
    const users = auth.initializeAuth(own, { persistence: auth.inMemoryPersistence });
    auth.connectAuthEmulator(users, args.url, { disableWarnings: true });
    users.settings.appVerificationDisabledForTesting = true;
    // RecaptchaVerifier loads a script of Google's; whoever runs without it brings a verifier of their own.
    const verifier = { type: 'recaptcha', verify: async () => 'token', _reset() {} };
    const codeFor = async (number) => {
      const response = await fetch(`${args.url}/emulator/v1/projects/homefire/verificationCodes`, { headers: { authorization: 'Bearer owner' } });
      return (await response.json()).verificationCodes.filter((each) => each.phoneNumber === number).at(-1).code;
    };
    const number = `+1555${String(Date.now()).slice(-7)}`;
    const confirmation = await auth.signInWithPhoneNumber(users, number, verifier);
    const { user } = await confirmation.confirm(await codeFor(number));
    const wrong = await auth.signInWithPhoneNumber(users, number, verifier).then((each) => each.confirm('000000')).then(() => 'in', (error) => error.code);
    return { phone: user.phoneNumber === number, wrong };
  }, given);
  assert.deepEqual(result, { phone: true, wrong: 'auth/invalid-verification-code' });
  await page.context().close();
});

test('browser: persistence is chosen, and sign-ins are vetoed', async () => {
  const page = await open();
  const result = await page.evaluate(async (args) => {
    const own = app.initializeApp({ projectId: 'homefire', apiKey: 'fake-key' }, 'veto');
    const users = auth.getAuth(own);
    auth.connectAuthEmulator(users, args.url, { disableWarnings: true });
    await auth.setPersistence(users, auth.browserSessionPersistence);
    const stop = auth.beforeAuthStateChanged(users, () => { throw new Error('no'); });
    const vetoed = await auth.signInAnonymously(users).then(() => 'in', (error) => error.code);
    stop();
    await auth.signInAnonymously(users);
    const kept = Object.keys(sessionStorage).some((key) => key.startsWith('firebase:authUser'));
    return { vetoed, kept };
  }, given);
  assert.deepEqual(result, { vetoed: 'auth/login-blocked', kept: true });
  await page.context().close();
});

test('browser: a file is uploaded with progress and downloaded', async () => {
  const page = await open();
  const result = await page.evaluate(async (args) => {
    const own = app.initializeApp({ projectId: 'demo', apiKey: 'fake-key', storageBucket: 'demo.appspot.com' }, 'files');
    const files = storage.getStorage(own);
    storage.connectStorageEmulator(files, args.host, args.port, { mockUserToken: 'owner' });
    const reference = storage.ref(files, args.path);
    const task = storage.uploadBytesResumable(reference, new Blob([new Uint8Array(2_000_000).fill(65)]), { contentType: 'text/plain' });
    const progress = [];
    task.on('state_changed', (snapshot) => progress.push(snapshot.bytesTransferred));
    await task;
    const text = await (await fetch(await storage.getDownloadURL(reference))).text();
    return { steps: progress.length, last: progress.at(-1), length: text.length, blob: (await storage.getBlob(reference)).size };
  }, { ...given, path: `${unique('folder')}/a.txt` });
  assert.ok(result.steps > 2);
  assert.deepEqual([result.last, result.length, result.blob], [2_000_000, 2_000_000, 2_000_000]);
  await page.context().close();
});

await run();
