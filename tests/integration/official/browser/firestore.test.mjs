// npm `firebase` in Chromium: WebChannel for listens and writes, REST for the rest.
import { assert, host, loadRules, port, run, test, unique } from '../node/harness.mjs';
import { bundle, launch, ownServer, serve } from './chromium.mjs';

const browser = await launch();
const origin = await serve(await bundle('page.mjs'));
const server = { host, port };

async function open(context) {
  const page = await (context ?? await browser.newContext()).newPage();
  page.problems = [];
  page.on('pageerror', (error) => page.problems.push(String(error)));
  page.on('console', (message) => { if (message.type() === 'error') page.problems.push(message.text()); });
  await page.goto(origin);
  await page.waitForFunction('window.ready');
  return page;
}

/** Two pages; the second sees what the first writes, and the other way round. */
async function seeEachOther(settings) {
  const [one, two] = [await open(), await open()];
  const args = { ...server, settings, path: `${unique()}/x` };
  const channels = [];
  two.on('request', (request) => { if (request.url().includes('/Listen/channel') && request.method() === 'GET') channels.push(request.url()); });
  const seen = two.evaluate(async (given) => {
    const db = database(given);
    window.db = db;
    const reference = firestore.doc(db, given.path);
    const values = [];
    await until((next, error) => firestore.onSnapshot(reference, next, error), (snapshot) => {
      values.push(snapshot.data()?.text ?? null);
      return snapshot.data()?.n === 3;
    });
    await firestore.updateDoc(reference, { back: 'ja 😀' });
    return values;
  }, args);
  const answer = await one.evaluate(async (given) => {
    const db = database(given);
    const reference = firestore.doc(db, given.path);
    await firestore.setDoc(reference, { n: 1, text: 'é😀\u2028\u0000' });
    const back = until((next, error) => firestore.onSnapshot(reference, next, error), (snapshot) => snapshot.data()?.back !== undefined);
    for (const n of [2, 3]) await firestore.updateDoc(reference, { n });
    return (await back).data();
  }, args);
  assert.deepEqual(answer, { n: 3, text: 'é😀\u2028\u0000', back: 'ja 😀' });
  assert.ok((await seen).includes('é😀\u2028\u0000'));
  assert.deepEqual([...one.problems, ...two.problems], []);
  await Promise.all([one.context().close(), two.context().close()]);
  return channels;
}

test('browser: two pages see each other live, streaming', async () => {
  const channels = await seeEachOther({});
  assert.ok(channels.every((url) => url.includes('CI=0')), 'auto-detection stays with streaming');
});

test('browser: two pages see each other live, forced long polling', async () => {
  const channels = await seeEachOther({ experimentalForceLongPolling: true });
  assert.ok(channels.length > 0 && channels.every((url) => url.includes('CI=1')));
});

test('browser: two pages see each other live, auto-detection off', async () => {
  await seeEachOther({ experimentalAutoDetectLongPolling: false });
});

test('browser: two pages see each other live, without fetch streams', async () => {
  await seeEachOther({ useFetchStreams: false });
});

test('browser: queries, transactions, counts and batches', async () => {
  const page = await open();
  const result = await page.evaluate(async (given) => {
    const db = database(given);
    const { collection, doc, getCountFromServer, getAggregateFromServer, sum, getDocs, orderBy, query, runTransaction, where, writeBatch } = firestore;
    const parent = collection(db, given.path);
    const batch = writeBatch(db);
    for (let n = 0; n < 10; n += 1) batch.set(doc(parent, `d${n}`), { n });
    await batch.commit();
    await runTransaction(db, async (transaction) => {
      const snapshot = await transaction.get(doc(parent, 'd1'));
      transaction.update(doc(parent, 'd1'), { n: snapshot.data().n + 100 });
    });
    return {
      found: (await getDocs(query(parent, where('n', '>', 7), orderBy('n', 'desc')))).docs.map((each) => each.id),
      count: (await getCountFromServer(parent)).data().count,
      sum: (await getAggregateFromServer(parent, { total: sum('n') })).data().total,
    };
  }, { ...server, path: unique() });
  assert.deepEqual(result, { found: ['d1', 'd9', 'd8'], count: 10, sum: 145 });
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test('browser: a burst of writes is made once each, in order', async () => {
  const page = await open();
  const data = await page.evaluate(async (given) => {
    const db = database(given);
    const reference = firestore.doc(db, given.path);
    await firestore.setDoc(reference, { n: 0, order: [] });
    await Promise.all(Array.from({ length: 60 }, (_, number) => firestore.updateDoc(reference, {
      n: firestore.increment(1), order: firestore.arrayUnion(number),
    })));
    return (await firestore.getDocFromServer(reference)).data();
  }, { ...server, path: `${unique()}/x` });
  assert.equal(data.n, 60);
  assert.deepEqual(data.order, Array.from({ length: 60 }, (_, number) => number));
  await page.context().close();
});

test('browser: a batch of nine mebibytes passes, of eleven is refused for good', async () => {
  const page = await open();
  const result = await page.evaluate(async (given) => {
    const db = database(given);
    const write = async (count) => {
      const batch = firestore.writeBatch(db);
      for (let n = 0; n < count; n += 1) batch.set(firestore.doc(db, given.path, `d${n}`), { text: 'x'.repeat(1024 * 1024 - 2000) });
      await batch.commit();
    };
    await write(9);
    const refused = await write(11).then(() => 'made', (error) => error.code);
    await firestore.setDoc(firestore.doc(db, given.path, 'later'), {});
    return { refused, count: (await firestore.getCountFromServer(firestore.collection(db, given.path))).data().count };
  }, { ...server, path: unique() });
  assert.deepEqual(result, { refused: 'invalid-argument', count: 10 });
  await page.context().close();
});

test('browser: a large first snapshot arrives whole', async () => {
  const page = await open();
  const sizes = await page.evaluate(async (given) => {
    const db = database(given);
    for (let part = 0; part < 3; part += 1) {
      const batch = firestore.writeBatch(db);
      for (let n = 0; n < 100; n += 1) batch.set(firestore.doc(db, given.path, `d${part}x${n}`), { text: "é".repeat(5_000) });
      await batch.commit();
    }
    const other = database({ ...given, user: 'owner' });
    return (await firestore.getDocs(firestore.collection(other, given.path))).size;
  }, { ...server, path: unique() });
  assert.equal(sizes, 300);
  await page.context().close();
});

test('browser: rules deny, and siblings live on', async () => {
  const project = unique('rules-');
  await loadRules(`rules_version = '2';
    service cloud.firestore { match /databases/{d}/documents {
      match /open/{id} { allow read, write: if true; }
      match /own/{uid} { allow read, write: if request.auth.uid == uid; } } }`, project);
  const page = await open();
  const result = await page.evaluate(async (given) => {
    const code = (promise) => promise.then(() => 'ok', (error) => error.code);
    const db = database({ ...given, user: null });
    const alice = database({ ...given, user: { sub: 'alice' } });
    const heard = code(until((next, error) => firestore.onSnapshot(firestore.collection(db, 'own'), next, error), () => false));
    return [
      await heard,
      await code(firestore.setDoc(firestore.doc(db, 'own/alice'), {})),
      await code(firestore.setDoc(firestore.doc(db, 'open/x'), {})),
      await code(firestore.setDoc(firestore.doc(alice, 'own/alice'), {})),
      await code(firestore.getDoc(firestore.doc(alice, 'own/alice'))),
      await code(firestore.getDoc(firestore.doc(alice, 'own/bob'))),
    ];
  }, { ...server, project });
  assert.deepEqual(result, ['permission-denied', 'permission-denied', 'ok', 'ok', 'ok', 'permission-denied']);
  await page.context().close();
});

/** WebChannel tries a lost channel again after up to 15 s, and waits as long once more if the server is not yet back. */
const RECONNECT_SECONDS = 90;

/** A listener hears of a write that was made after the server was stopped and started again. */
async function surviveRestart(signal) {
  const own = await ownServer();
  await own.start();
  const page = await open();
  const args = { host: '127.0.0.1', port: own.port, path: `${unique()}/x` };
  await page.evaluate(async (given) => {
    window.db = database(given);
    window.values = [];
    const reference = firestore.doc(db, given.path);
    firestore.onSnapshot(reference, (snapshot) => values.push(snapshot.data()?.n ?? null));
    await firestore.setDoc(reference, { n: 1 });
  }, args);
  await page.waitForFunction('values.includes(1)');
  await own.stop(signal);
  await own.start();
  const other = await open();
  await other.evaluate(async (given) => {
    await firestore.setDoc(firestore.doc(database(given), given.path), { n: 2 });
  }, args);
  await page.waitForFunction('values.includes(2)', null, { timeout: RECONNECT_SECONDS * 1000 });
  await Promise.all([page.context().close(), other.context().close()]);
  await own.stop();
}

test('browser: a listener survives a restart of the server', () => surviveRestart('SIGTERM'), RECONNECT_SECONDS);

test('browser: a listener survives the death of the server', () => surviveRestart('SIGKILL'), RECONNECT_SECONDS);

test('browser: writes made while the server is away are made when it is back', async () => {
  const own = await ownServer();
  await own.start();
  const page = await open();
  const args = { host: '127.0.0.1', port: own.port, path: `${unique()}/x` };
  await page.evaluate(async (given) => {
    window.db = database(given);
    await firestore.setDoc(firestore.doc(db, given.path), { n: 0 });
  }, args);
  await own.stop('SIGKILL');
  await page.evaluate((given) => {
    window.done = Promise.all([1, 2, 3].map(() => firestore.updateDoc(firestore.doc(db, given.path), { n: firestore.increment(1) })));
  }, args);
  await own.start();
  await page.evaluate('done');
  const stored = await page.evaluate(async (given) => (await firestore.getDocFromServer(firestore.doc(database(given), given.path))).data(), args);
  assert.deepEqual(stored, { n: 3 });
  await page.context().close();
  await own.stop();
}, RECONNECT_SECONDS);

test('browser: IndexedDB keeps documents over a reload without the network', async () => {
  const page = await open();
  const args = { ...server, cache: 'persistent', name: 'kept', path: `${unique()}/x` };
  await page.evaluate(async (given) => {
    const db = database(given);
    await firestore.setDoc(firestore.doc(db, given.path), { n: 7 });
    await firestore.getDocFromServer(firestore.doc(db, given.path));
    await firestore.terminate(db);
  }, args);
  await page.reload();
  await page.waitForFunction('window.ready');
  const result = await page.evaluate(async (given) => {
    const db = database(given);
    await firestore.disableNetwork(db);
    const snapshot = await firestore.getDoc(firestore.doc(db, given.path));
    const pending = firestore.setDoc(firestore.doc(db, given.path), { n: 8 });
    await firestore.enableNetwork(db);
    await pending;
    return [snapshot.metadata.fromCache, snapshot.data().n];
  }, args);
  assert.deepEqual(result, [true, 7]);
  await page.context().close();
});

test('browser: tabs with one IndexedDB share one connection and see each other', async () => {
  const context = await browser.newContext();
  const [one, two] = [await open(context), await open(context)];
  const args = { ...server, cache: 'tabs', name: 'tabs', path: `${unique()}/x` };
  const heard = two.evaluate(async (given) => {
    const reference = firestore.doc(database(given), given.path);
    const snapshot = await until((next, error) => firestore.onSnapshot(reference, { includeMetadataChanges: true }, next, error), (each) => each.data()?.n === 5 && !each.metadata.hasPendingWrites);
    return snapshot.data();
  }, args);
  await one.evaluate(async (given) => {
    await firestore.setDoc(firestore.doc(database(given), given.path), { n: 5 });
  }, args);
  assert.deepEqual(await heard, { n: 5 });
  await context.close();
});

test('browser: the older ways to keep documents, for one tab and for many', async () => {
  const context = await browser.newContext();
  const [one, two] = [await open(context), await open(context)];
  const args = { ...server, cache: undefined, path: `${unique()}/x` };
  const kept = await one.evaluate(async (given) => {
    const db = database({ ...given, name: 'older' });
    await firestore.enableIndexedDbPersistence(db);
    await firestore.setDoc(firestore.doc(db, given.path), { n: 3 });
    await firestore.disableNetwork(db);
    return (await firestore.getDoc(firestore.doc(db, given.path))).data();
  }, args);
  assert.deepEqual(kept, { n: 3 });
  const shared = { ...args, name: 'older-tabs', path: `${unique()}/x` };
  const heard = two.evaluate(async (given) => {
    const db = database(given);
    await firestore.enableMultiTabIndexedDbPersistence(db);
    const snapshot = await until((next, error) => firestore.onSnapshot(firestore.doc(db, given.path), { includeMetadataChanges: true }, next, error), (each) => each.data()?.n === 5 && !each.metadata.hasPendingWrites);
    return snapshot.data();
  }, shared);
  await one.evaluate(async (given) => {
    const db = database(given);
    await firestore.enableMultiTabIndexedDbPersistence(db);
    await firestore.setDoc(firestore.doc(db, given.path), { n: 5 });
  }, shared);
  assert.deepEqual(await heard, { n: 5 });
  await context.close();
});

test('browser: terminate and sign-out end the streams', async () => {
  const page = await open();
  const terminated = [];
  page.on('request', (request) => { if (request.url().includes('TYPE=terminate')) terminated.push(request.url()); });
  await page.evaluate(async (given) => {
    const db = database(given);
    await firestore.setDoc(firestore.doc(db, given.path), {});
    await until((next, error) => firestore.onSnapshot(firestore.doc(db, given.path), next, error), (snapshot) => snapshot.exists());
    await firestore.terminate(db);
  }, { ...server, path: `${unique()}/x` });
  await page.waitForTimeout(300);
  assert.ok(terminated.length >= 1);
  await page.context().close();
});

test('browser: a listener catches up after the network was off, by its resume token', async () => {
  const page = await open();
  const text = await page.evaluate(async (given) => {
    const [db, other] = [database(given), database(given)];
    const { collection, deleteDoc, disableNetwork, doc, enableNetwork, onSnapshot, orderBy, query, setDoc } = firestore;
    for (const n of [1, 2, 3]) await setDoc(doc(other, given.path, `d${n}`), { n });
    let resolve;
    const texts = [];
    const stop = onSnapshot(query(collection(db, given.path), orderBy('n')), (snapshot) => {
      if (!snapshot.metadata.fromCache) texts.push(snapshot.docs.map((each) => each.id + each.data().n).join());
      resolve?.();
    });
    const wait = async (wanted) => { while (!texts.includes(wanted)) await new Promise((next) => { resolve = next; }); };
    await wait('d11,d22,d33');
    await disableNetwork(db);
    await deleteDoc(doc(other, given.path, 'd2'));
    await setDoc(doc(other, given.path, 'd1'), { n: 9 });
    await enableNetwork(db);
    await wait('d33,d19');
    stop();
    return texts.at(-1);
  }, { ...server, path: unique() });
  assert.equal(text, 'd33,d19');
  await page.context().close();
});

await run();
