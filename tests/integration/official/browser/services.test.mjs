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

test('browser: a telephone number is linked, proven again and replaced', async () => {
  const page = await open();
  const result = await page.evaluate(async (args) => {
    const own = app.initializeApp({ projectId: 'homefire', apiKey: 'fake-key' }, 'phones');
    const users = auth.initializeAuth(own, { persistence: auth.inMemoryPersistence });
    auth.connectAuthEmulator(users, args.url, { disableWarnings: true });
    users.settings.appVerificationDisabledForTesting = true;
    const verifier = { type: 'recaptcha', verify: async () => 'token', _reset() {} };
    const codeFor = async (number) => {
      const response = await fetch(`${args.url}/emulator/v1/projects/homefire/verificationCodes`);
      return (await response.json()).verificationCodes.filter((each) => each.phoneNumber === number).at(-1).code;
    };
    const [one, two] = [1, 2].map((digit) => `+1556${digit}${String(Date.now()).slice(-6)}`);
    const { user } = await auth.createUserWithEmailAndPassword(users, `phone${Date.now()}@example.com`, 'correct horse');
    const linking = await auth.linkWithPhoneNumber(user, one, verifier);
    await linking.confirm(await codeFor(one));
    const linked = user.phoneNumber === one;
    const again = await auth.reauthenticateWithPhoneNumber(user, one, verifier);
    const proven = (await again.confirm(await codeFor(one))).user.uid === user.uid;
    const session = await new auth.PhoneAuthProvider(users).verifyPhoneNumber(two, verifier);
    await auth.updatePhoneNumber(user, auth.PhoneAuthProvider.credential(session, await codeFor(two)));
    return { linked, proven, replaced: user.phoneNumber === two };
  }, given);
  assert.deepEqual(result, { linked: true, proven: true, replaced: true });
  await page.context().close();
});

test('browser: a number is enrolled as a second factor, and asked for at sign-in', async () => {
  const page = await open();
  const result = await page.evaluate(async (args) => {
    const own = app.initializeApp({ projectId: 'homefire', apiKey: 'fake-key' }, 'factors');
    const users = auth.initializeAuth(own, { persistence: auth.inMemoryPersistence });
    auth.connectAuthEmulator(users, args.url, { disableWarnings: true });
    users.settings.appVerificationDisabledForTesting = true;
    const verifier = { type: 'recaptcha', verify: async () => 'token', _reset() {} };
    const listed = async (kind) => (await (await fetch(`${args.url}/emulator/v1/projects/homefire/${kind}`)).json())[kind];
    const address = `factor${Date.now()}@example.com`;
    const number = `+1557${String(Date.now()).slice(-7)}`;
    const codeFor = async () => (await listed('verificationCodes')).filter((each) => each.phoneNumber === number).at(-1).code;
    const { user } = await auth.createUserWithEmailAndPassword(users, address, 'correct horse');
    await auth.sendEmailVerification(user);
    await auth.applyActionCode(users, (await listed('oobCodes')).find((each) => each.email === address).oobCode);
    const phones = new auth.PhoneAuthProvider(users);
    const session = await auth.multiFactor(user).getSession();
    const enrolling = await phones.verifyPhoneNumber({ phoneNumber: number, session }, verifier);
    const proof = auth.PhoneAuthProvider.credential(enrolling, await codeFor());
    await auth.multiFactor(user).enroll(auth.PhoneMultiFactorGenerator.assertion(proof), 'Mine');
    await auth.signOut(users);
    const asked = await auth.signInWithEmailAndPassword(users, address, 'correct horse').catch((error) => error);
    const resolver = auth.getMultiFactorResolver(users, asked);
    const [hint] = resolver.hints;
    const started = await phones.verifyPhoneNumber({ multiFactorHint: hint, session: resolver.session }, verifier);
    const answer = auth.PhoneAuthProvider.credential(started, await codeFor());
    const signedIn = await resolver.resolveSignIn(auth.PhoneMultiFactorGenerator.assertion(answer));
    const token = await auth.getIdTokenResult(signedIn.user);
    return { asked: asked.code, hidden: hint.phoneNumber.includes('*'), factor: token.signInSecondFactor };
  }, given);
  assert.deepEqual(result, { asked: 'auth/multi-factor-auth-required', hidden: true, factor: 'phone' });
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
