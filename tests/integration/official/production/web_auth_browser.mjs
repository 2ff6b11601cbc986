// The same in Chromium; the user is still there after a reload.
import { bundle, launch, serve } from '../browser/chromium.mjs';

const browser = await launch();
const context = await browser.newContext({ ignoreHTTPSErrors: true });
const page = await context.newPage();
const foreign = [];
page.on('request', (request) => {
  const { hostname } = new URL(request.url());
  if (!['localhost', '127.0.0.1'].includes(hostname)) foreign.push(hostname);
});
const address = await serve(await bundle('page.mjs'));
const host = process.env.HOMEFIRE_HOST;

async function open() {
  await page.goto(address);
  await page.waitForFunction('window.ready');
  await page.evaluate((where) => {
    const made = app.initializeApp({ projectId: 'homefire', apiKey: 'key' });
    window.who = auth.getAuth(made);
    auth.connectAuthEmulator(window.who, `https://${where}`, { disableWarnings: true });
    window.db = firestore.initializeFirestore(made, { host: where, ssl: true });
  }, host);
}

await open();
const first = await page.evaluate(async () => {
  const { user } = await auth.createUserWithEmailAndPassword(window.who, 'browser@example.com', 'correct horse');
  await firestore.setDoc(firestore.doc(window.db, 'own', user.uid), { n: 1 });
  return user.uid;
});
await open();
const result = await page.evaluate(async (uid) => {
  await window.who.authStateReady();
  const own = (await firestore.getDoc(firestore.doc(window.db, 'own', uid))).data();
  const other = await firestore.getDoc(firestore.doc(window.db, 'own', 'other')).then(() => 'read', (error) => error.code);
  return { same: window.who.currentUser?.uid === uid, own, other };
}, first);
console.log(`RESULT ${JSON.stringify({ ...result, foreign })}`);
await browser.close();
process.exit(0);
