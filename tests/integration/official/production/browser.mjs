// Without emulator mode, over TLS: the web SDK in Chromium.
import { bundle, launch, serve } from '../browser/chromium.mjs';

const browser = await launch();
const context = await browser.newContext({ ignoreHTTPSErrors: true });
const page = await context.newPage();
await page.goto(await serve(await bundle('page.mjs')));
await page.waitForFunction('window.ready');
const result = await page.evaluate(async (host) => {
  const db = firestore.initializeFirestore(app.initializeApp({ projectId: 'homefire', apiKey: 'key' }), { host, ssl: true });
  const reference = firestore.doc(db, 'open/browser');
  await firestore.setDoc(reference, { n: 4 });
  await until((next, error) => firestore.onSnapshot(reference, next, error), (snapshot) => snapshot.exists());
  const count = (await firestore.getCountFromServer(firestore.collection(db, 'open'))).data().count;
  const files = storage.getStorage(app.initializeApp({ projectId: 'homefire', apiKey: 'key', storageBucket: 'homefire.appspot.com' }, 'files'));
  files.host = host;
  await storage.uploadBytesResumable(storage.ref(files, 'open/browser'), new Uint8Array(600_000));
  const { byteLength } = await storage.getBytes(storage.ref(files, 'open/browser'));
  return { browser: (await firestore.getDocFromServer(reference)).data(), counted: count > 0, stored: byteLength };
}, process.env.HOMEFIRE_HOST);
console.log(`RESULT ${JSON.stringify(result)}`);
await browser.close();
process.exit(0);
