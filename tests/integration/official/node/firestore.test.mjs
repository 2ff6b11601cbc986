// npm `firebase`, the full Firestore SDK in Node: gRPC.
import {
  Bytes, GeoPoint, Timestamp, addDoc, aggregateFieldEqual, aggregateQuerySnapshotEqual, and, arrayRemove,
  arrayUnion, average, collection,
  collectionGroup, count, deleteDoc, deleteField, disableNetwork, doc, documentId, enableNetwork,
  endAt, endBefore, getAggregateFromServer, getCountFromServer, getDoc, getDocFromCache,
  getDocFromServer, getDocs, getDocsFromCache, getDocsFromServer, increment, limit, limitToLast, loadBundle, namedQuery,
  documentSnapshotFromJSON, onSnapshotResume, queryEqual, querySnapshotFromJSON, onSnapshot,
  onSnapshotsInSync, or, orderBy, query, refEqual, runTransaction, serverTimestamp, setDoc,
  snapshotEqual, startAfter, startAt, sum, updateDoc, vector, waitForPendingWrites, where, writeBatch,
} from 'firebase/firestore';
import * as everything from 'firebase/firestore';
import { initializeApp as initializeAdmin } from 'firebase-admin/app';
import { getFirestore as getAdminFirestore } from 'firebase-admin/firestore';
import { assert, client, codeOf, collector, loadRules, run, test, unique } from './harness.mjs';

// not in the versions one major back
const { maximum, minimum } = everything;

const { db } = client();
const second = client();
const fresh = () => collection(db, unique());
const ids = (snapshot) => snapshot.docs.map((each) => each.id);

async function seeded(documents) {
  const parent = fresh();
  const batch = writeBatch(db);
  for (const [id, data] of Object.entries(documents)) batch.set(doc(parent, id), data);
  await batch.commit();
  return parent;
}

test('every type of value survives the round trip', async () => {
  const reference = doc(fresh(), 'x');
  const data = {
    null: null, true: true, false: false, zero: 0, integer: -42, safe: Number.MAX_SAFE_INTEGER,
    double: 1.5, large: 1e300, infinity: Infinity, negative: -Infinity, text: 'é😀\u0000"\\',
    empty: '', bytes: Bytes.fromUint8Array(new Uint8Array([0, 255, 1])), point: new GeoPoint(-90, 180),
    time: new Timestamp(1_700_000_000, 123_456_000), reference, list: [1, 'a', [].length, { a: [] }],
    map: { nested: { deep: [{}] }, '`odd` key.': 1 }, emptyMap: {}, emptyList: [],
    vector: vector([1, -0.5, 1e-10]),
  };
  await setDoc(reference, data);
  const stored = (await getDocFromServer(reference)).data();
  assert.deepEqual(Object.keys(stored).sort(), Object.keys(data).sort());
  assert.ok(refEqual(stored.reference, reference));
  assert.ok(stored.bytes.isEqual(data.bytes));
  assert.ok(stored.point.isEqual(data.point));
  assert.ok(stored.time.isEqual(data.time));
  assert.ok(stored.vector.isEqual(data.vector));
  for (const key of ['reference', 'bytes', 'point', 'time', 'vector']) delete data[key], delete stored[key];
  assert.deepEqual(stored, data);
});

test('NaN and negative zero survive the round trip', async () => {
  const reference = doc(fresh(), 'x');
  await setDoc(reference, { nan: NaN, zero: -0 });
  const stored = (await getDocFromServer(reference)).data();
  assert.ok(Number.isNaN(stored.nan));
  assert.ok(Object.is(stored.zero, -0));
});

test('getDoc of a missing document tells that it does not exist', async () => {
  const snapshot = await getDoc(doc(fresh(), 'nothing'));
  assert.equal(snapshot.exists(), false);
  assert.equal(snapshot.metadata.fromCache, false);
});

test('addDoc gives an id of twenty characters', async () => {
  const reference = await addDoc(fresh(), { a: 1 });
  assert.match(reference.id, /^[A-Za-z0-9]{20}$/);
  assert.deepEqual((await getDoc(reference)).data(), { a: 1 });
});

test('setDoc with merge keeps other fields', async () => {
  const reference = doc(fresh(), 'x');
  await setDoc(reference, { a: 1, nested: { b: 2, c: 3 } });
  await setDoc(reference, { nested: { b: 4 }, d: 5 }, { merge: true });
  assert.deepEqual((await getDocFromServer(reference)).data(), { a: 1, nested: { b: 4, c: 3 }, d: 5 });
  await setDoc(reference, { a: 9, d: 9 }, { mergeFields: ['d'] });
  assert.deepEqual((await getDocFromServer(reference)).data(), { a: 1, nested: { b: 4, c: 3 }, d: 9 });
});

test('setDoc with an empty merge creates an empty document', async () => {
  const reference = doc(fresh(), 'x');
  await setDoc(reference, {}, { merge: true });
  assert.deepEqual((await getDocFromServer(reference)).data(), {});
});

test('updateDoc changes fields by path and refuses a missing document', async () => {
  const parent = await seeded({ x: { a: { b: 1, c: 2 }, d: 3 } });
  await updateDoc(doc(parent, 'x'), { 'a.b': 5, d: deleteField() });
  assert.deepEqual((await getDocFromServer(doc(parent, 'x'))).data(), { a: { b: 5, c: 2 } });
  assert.equal(await codeOf(updateDoc(doc(parent, 'missing'), { a: 1 })), 'not-found');
});

test('deleteDoc removes, and is content with nothing to remove', async () => {
  const parent = await seeded({ x: { a: 1 } });
  await deleteDoc(doc(parent, 'x'));
  await deleteDoc(doc(parent, 'x'));
  assert.equal((await getDocFromServer(doc(parent, 'x'))).exists(), false);
});

test('transforms are computed by the server', async () => {
  const parent = await seeded({ x: { n: 1, list: [1, 2] } });
  const reference = doc(parent, 'x');
  await updateDoc(reference, {
    n: increment(2.5), added: increment(1), list: arrayUnion(2, 3), time: serverTimestamp(),
  });
  await updateDoc(reference, { list: arrayRemove(1) });
  const { time, ...rest } = (await getDocFromServer(reference)).data();
  assert.deepEqual(rest, { n: 3.5, added: 1, list: [2, 3] });
  assert.ok(Math.abs(time.toMillis() - Date.now()) < 60_000);
});

test('writeBatch is all or nothing', async () => {
  const parent = await seeded({ x: { a: 1 } });
  const batch = writeBatch(db);
  batch.set(doc(parent, 'y'), { a: 2 });
  batch.update(doc(parent, 'missing'), { a: 3 });
  assert.equal(await codeOf(batch.commit()), 'not-found');
  assert.deepEqual(ids(await getDocsFromServer(parent)), ['x']);
});

test('writes in a burst are all made, in order', async () => {
  const reference = doc(fresh(), 'x');
  await setDoc(reference, { n: 0, order: [] });
  await Promise.all(Array.from({ length: 40 }, (_, number) => updateDoc(reference, {
    n: increment(1), order: arrayUnion(number),
  })));
  const data = (await getDocFromServer(reference)).data();
  assert.equal(data.n, 40);
  assert.deepEqual(data.order, Array.from({ length: 40 }, (_, number) => number));
});

test('queries filter, order and limit', async () => {
  const parent = await seeded({
    a: { n: 1, tag: 'x', tags: ['red', 'blue'] }, b: { n: 2, tag: 'y', tags: ['blue'] },
    c: { n: 3, tag: 'x', tags: [] }, d: { n: 4, tag: 'z' }, e: { tag: 'x' },
  });
  const found = async (...constraints) => ids(await getDocs(query(parent, ...constraints)));
  assert.deepEqual(await found(), ['a', 'b', 'c', 'd', 'e']);
  assert.deepEqual(await found(where('tag', '==', 'x')), ['a', 'c', 'e']);
  assert.deepEqual(await found(where('n', '>', 1), where('n', '<=', 3)), ['b', 'c']);
  assert.deepEqual(await found(where('tag', '==', 'x'), orderBy('n', 'desc')), ['c', 'a']);
  assert.deepEqual(await found(orderBy('n', 'desc'), limit(2)), ['d', 'c']);
  assert.deepEqual(await found(orderBy('n'), limitToLast(2)), ['c', 'd']);
  assert.deepEqual(await found(where('tag', 'in', ['y', 'z'])), ['b', 'd']);
  assert.deepEqual(await found(where('tag', 'not-in', ['x', 'z'])), ['b']);
  assert.deepEqual(await found(where('tag', '!=', 'x')), ['b', 'd']);
  assert.deepEqual(await found(where('tags', 'array-contains', 'blue')), ['a', 'b']);
  assert.deepEqual(await found(where('tags', 'array-contains-any', ['red', 'none'])), ['a']);
  assert.deepEqual(await found(where(documentId(), '>=', 'd')), ['d', 'e']);
});

test('queries take cursors on all four bounds, values and documents', async () => {
  const parent = await seeded({ a: { n: 1 }, b: { n: 2 }, c: { n: 2 }, d: { n: 3 } });
  const found = async (...constraints) => ids(await getDocs(query(parent, orderBy('n'), ...constraints)));
  const c = await getDoc(doc(parent, 'c'));
  assert.deepEqual(await found(startAt(2)), ['b', 'c', 'd']);
  assert.deepEqual(await found(startAfter(2)), ['d']);
  assert.deepEqual(await found(endAt(2)), ['a', 'b', 'c']);
  assert.deepEqual(await found(endBefore(2)), ['a']);
  assert.deepEqual(await found(startAt(c)), ['c', 'd']);
  assert.deepEqual(await found(startAfter(c)), ['d']);
  assert.deepEqual(await found(endBefore(c)), ['a', 'b']);
});

test('queries take composite filters', async () => {
  const parent = await seeded({ a: { x: 1, y: 1 }, b: { x: 1, y: 2 }, c: { x: 2, y: 2 }, d: { x: 3, y: 3 } });
  const either = query(parent, or(and(where('x', '==', 1), where('y', '==', 1)), where('x', '==', 3)));
  assert.deepEqual(ids(await getDocs(either)), ['a', 'd']);
});

test('collection groups find documents under any parent', async () => {
  const group = unique('group');
  await setDoc(doc(db, `top/one/${group}/a`), { n: 1 });
  await setDoc(doc(db, `top/two/deep/er/${group}/b`), { n: 2 });
  assert.deepEqual(ids(await getDocs(query(collectionGroup(db, group), orderBy('n')))), ['a', 'b']);
});

test('counts and aggregates come from the server', async () => {
  const parent = await seeded({ a: { n: 1 }, b: { n: 2 }, c: { n: 6, skip: true }, d: { other: 1 } });
  assert.equal((await getCountFromServer(parent)).data().count, 4);
  const filtered = query(parent, where('n', '<', 5));
  assert.equal((await getCountFromServer(filtered)).data().count, 2);
  const all = await getAggregateFromServer(parent, { total: sum('n'), mean: average('n'), number: count() });
  // Only documents that have every aggregated field take part.
  assert.deepEqual(all.data(), { total: 9, mean: 3, number: 3 });
  const none = await getAggregateFromServer(query(parent, where('n', '>', 99)), { total: sum('n'), mean: average('n') });
  assert.deepEqual(none.data(), { total: 0, mean: null });
});

test('a listener sees a document come, change and go', async () => {
  const reference = doc(fresh(), 'x');
  const seen = collector();
  const stop = onSnapshot(reference, seen.next, seen.error);
  await seen.until((snapshot) => !snapshot.exists() && !snapshot.metadata.fromCache, 'absence');
  const other = doc(second.db, reference.path);
  await setDoc(other, { n: 1 });
  await seen.until((snapshot) => snapshot.data()?.n === 1, 'creation');
  await updateDoc(other, { n: 2 });
  await seen.until((snapshot) => snapshot.data()?.n === 2, 'update');
  await deleteDoc(other);
  await seen.until((snapshot) => seen.values.indexOf(snapshot) > 1 && !snapshot.exists(), 'deletion');
  stop();
});

test('a query listener tells what was added, modified and removed', async () => {
  const parent = await seeded({ a: { n: 1 }, b: { n: 2 }, c: { n: 3 } });
  const seen = collector();
  const stop = onSnapshot(query(parent, where('n', '>=', 2), orderBy('n')), (snapshot) => {
    snapshot.docChanges().forEach((change) => seen.next(`${change.type} ${change.doc.id} ${change.oldIndex}>${change.newIndex}`));
  }, seen.error);
  await seen.until((text) => text === 'added c -1>1');
  const other = collection(second.db, parent.path);
  await setDoc(doc(other, 'd'), { n: 9 });
  await seen.until((text) => text === 'added d -1>2');
  await updateDoc(doc(other, 'b'), { n: 10 });
  await seen.until((text) => text === 'modified b 0>2');
  await updateDoc(doc(other, 'c'), { n: 0 });
  await seen.until((text) => text.startsWith('removed c'));
  await deleteDoc(doc(other, 'd'));
  await seen.until((text) => text.startsWith('removed d'));
  stop();
});

test('a limited listener refills its window', async () => {
  const parent = await seeded({ a: { n: 1 }, b: { n: 2 }, c: { n: 3 } });
  const seen = collector();
  const stop = onSnapshot(query(parent, orderBy('n'), limit(2)), (snapshot) => seen.next(ids(snapshot).join()), seen.error);
  await seen.until((text) => text === 'a,b');
  await deleteDoc(doc(second.db, `${parent.path}/a`));
  await seen.until((text) => text === 'b,c');
  assert.ok(!seen.values.includes('b'), 'no gap in between');
  stop();
});

test('own writes are pending until the server has them', async () => {
  const reference = doc(fresh(), 'x');
  const seen = collector();
  const stop = onSnapshot(reference, { includeMetadataChanges: true }, seen.next, seen.error);
  await seen.until((snapshot) => !snapshot.metadata.fromCache);
  const done = setDoc(reference, { n: 1 });
  await seen.until((snapshot) => snapshot.metadata.hasPendingWrites, 'latency compensation');
  await done;
  await seen.until((snapshot) => snapshot.exists() && !snapshot.metadata.hasPendingWrites, 'acknowledgement');
  stop();
});

test('two listeners of one document and snapshots in sync', async () => {
  const parent = await seeded({ x: { n: 0 } });
  const both = [collector(), collector()];
  let inSync = 0;
  const stops = [
    onSnapshot(doc(parent, 'x'), (snapshot) => both[0].next(snapshot.data().n)),
    onSnapshot(query(parent, where('n', '>=', 0)), (snapshot) => both[1].next(snapshot.docs[0]?.data().n)),
    onSnapshotsInSync(db, () => { inSync += 1; }),
  ];
  await Promise.all(both.map((each) => each.until((n) => n === 0)));
  await setDoc(doc(second.db, `${parent.path}/x`), { n: 1 });
  await Promise.all(both.map((each) => each.until((n) => n === 1)));
  assert.ok(inSync > 0);
  stops.forEach((stop) => stop());
});

test('a listener catches up after the network was off', async () => {
  const own = client();
  const parent = await seeded({ a: { n: 1 }, b: { n: 2 }, c: { n: 3 } });
  const seen = collector();
  const stop = onSnapshot(query(collection(own.db, parent.path), orderBy('n')), (snapshot) => {
    if (!snapshot.metadata.fromCache) seen.next(snapshot.docs.map((each) => `${each.id}${each.data().n}`).join());
  }, seen.error);
  await seen.until((text) => text === 'a1,b2,c3');
  await disableNetwork(own.db);
  await updateDoc(doc(parent, 'a'), { n: 7 });
  await deleteDoc(doc(parent, 'b'));
  await setDoc(doc(parent, 'd'), { n: 9 });
  await enableNetwork(own.db);
  await seen.until((text) => text === 'c3,a7,d9');
  stop();
  await own.close();
});

test('writes made offline are sent when the network is back', async () => {
  const own = client();
  const reference = doc(own.db, unique(), 'x');
  await disableNetwork(own.db);
  const done = setDoc(reference, { n: 1 });
  assert.deepEqual((await getDocFromCache(reference)).data(), { n: 1 });
  await enableNetwork(own.db);
  await done;
  await waitForPendingWrites(own.db);
  assert.deepEqual((await getDocFromServer(doc(db, reference.path))).data(), { n: 1 });
  await own.close();
});

test('transactions of many clients lose no update', async () => {
  const parent = await seeded({ x: { n: 0 } });
  const clients = [client(), client(), client()];
  await Promise.all(clients.map(({ db: own }) => runTransaction(own, async (transaction) => {
    const reference = doc(own, `${parent.path}/x`);
    const snapshot = await transaction.get(reference);
    transaction.update(reference, { n: snapshot.data().n + 1 });
  }, { maxAttempts: 20 })));
  assert.equal((await getDocFromServer(doc(parent, 'x'))).data().n, 3);
  await Promise.all(clients.map((each) => each.close()));
});

test('a transaction verifies what it only read', async () => {
  const parent = await seeded({ read: { n: 0 }, written: { n: 0 } });
  let runs = 0;
  await runTransaction(db, async (transaction) => {
    runs += 1;
    const snapshot = await transaction.get(doc(parent, 'read'));
    await transaction.get(doc(parent, 'missing'));
    if (runs === 1) await setDoc(doc(second.db, `${parent.path}/read`), { n: 1 });
    transaction.set(doc(parent, 'written'), { n: snapshot.data().n });
  });
  assert.equal(runs, 2);
  assert.equal((await getDocFromServer(doc(parent, 'written'))).data().n, 1);
});

test('a transaction that fails writes nothing', async () => {
  const parent = await seeded({ x: { n: 0 } });
  await assert.rejects(runTransaction(db, async (transaction) => {
    await transaction.get(doc(parent, 'x'));
    transaction.update(doc(parent, 'x'), { n: 1 });
    throw new Error('changed my mind');
  }), /changed my mind/);
  assert.equal((await getDocFromServer(doc(parent, 'x'))).data().n, 0);
});

test('named databases are apart from the default one', async () => {
  const own = client({ database: 'another' });
  const path = `${unique()}/x`;
  await setDoc(doc(own.db, path), { where: 'another' });
  assert.equal((await getDocFromServer(doc(db, path))).exists(), false);
  assert.deepEqual((await getDocFromServer(doc(own.db, path))).data(), { where: 'another' });
  await own.close();
});

test('a batch of nine mebibytes passes', async () => {
  const parent = fresh();
  const batch = writeBatch(db);
  for (let number = 0; number < 9; number += 1) {
    batch.set(doc(parent, `d${number}`), { text: 'x'.repeat(1024 * 1024 - 2000) });
  }
  await batch.commit();
  assert.equal((await getCountFromServer(parent)).data().count, 9);
});

test('a batch of eleven mebibytes is refused for good', async () => {
  const own = client();
  const batch = writeBatch(own.db);
  for (let number = 0; number < 11; number += 1) {
    batch.set(doc(own.db, `${unique()}/x`), { text: 'x'.repeat(1024 * 1024 - 2000) });
  }
  assert.equal(await codeOf(batch.commit()), 'invalid-argument');
  await setDoc(doc(own.db, `${unique()}/x`), { later: 'works' });
  await own.close();
});

test('a document above one mebibyte is refused', async () => {
  assert.equal(await codeOf(setDoc(doc(fresh(), 'x'), { text: 'x'.repeat(1024 * 1024) })), 'invalid-argument');
});

test('converters and snapshotEqual work', async () => {
  const converter = { toFirestore: (point) => ({ x: point.x }), fromFirestore: (snapshot) => ({ x: snapshot.data().x, own: true }) };
  const written = doc(fresh(), 'x').withConverter(converter);
  await setDoc(written, { x: 4 });
  const reference = doc(second.db, written.path).withConverter(converter);
  const [one, two] = [await getDocFromServer(reference), await getDocFromServer(reference)];
  assert.deepEqual(one.data(), { x: 4, own: true });
  assert.ok(snapshotEqual(one, two));
});

test('rules deny reads, listens and writes with permission-denied', async () => {
  const project = unique('rules-');
  await loadRules(`rules_version = '2';
    service cloud.firestore { match /databases/{d}/documents {
      match /open/{id} { allow read, write: if true; }
      match /own/{uid} { allow read, write: if request.auth.uid == uid; }
    } }`, project);
  const anonymous = client({ project, mockUserToken: null });
  const alice = client({ project, mockUserToken: { sub: 'alice' } });
  assert.equal(await codeOf(getDoc(doc(anonymous.db, 'own/alice'))), 'permission-denied');
  assert.equal(await codeOf(setDoc(doc(anonymous.db, 'own/alice'), {})), 'permission-denied');
  assert.equal(await codeOf(getDocs(collection(anonymous.db, 'own'))), 'permission-denied');
  const seen = collector();
  const denied = collector();
  onSnapshot(doc(anonymous.db, 'open/x'), { includeMetadataChanges: true }, seen.next, seen.error);
  onSnapshot(doc(anonymous.db, 'own/alice'), denied.next, (error) => denied.next(error.code));
  await denied.until((value) => value === 'permission-denied');
  await setDoc(doc(anonymous.db, 'open/x'), { n: 1 });
  await seen.until((snapshot) => snapshot.data()?.n === 1 && !snapshot.metadata.hasPendingWrites, 'the sibling lives on');
  await setDoc(doc(alice.db, 'own/alice'), { n: 1 });
  assert.deepEqual((await getDocFromServer(doc(alice.db, 'own/alice'))).data(), { n: 1 });
  assert.equal(await codeOf(setDoc(doc(alice.db, 'own/bob'), {})), 'permission-denied');
  await Promise.all([anonymous.close(), alice.close()]);
});

test('one denied write in a burst fails alone', async () => {
  const project = unique('rules-');
  await loadRules(`rules_version = '2';
    service cloud.firestore { match /databases/{d}/documents {
      match /open/{id} { allow read, write: if true; } } }`, project);
  const own = client({ project, mockUserToken: null });
  const reference = doc(own.db, 'open/x');
  await setDoc(reference, { n: 0 });
  const denied = codeOf(setDoc(doc(own.db, 'closed/x'), {}));
  await Promise.all(Array.from({ length: 6 }, () => updateDoc(reference, { n: increment(1) })));
  assert.equal(await denied, 'permission-denied');
  assert.equal((await getDocFromServer(reference)).data().n, 6);
  await own.close();
});

test('maximum and minimum are computed by the server', async () => {
  const parent = await seeded({ x: { high: 5, low: 5 } });
  await updateDoc(doc(parent, 'x'), { high: maximum(9), low: minimum(2), fresh: maximum(1) });
  await updateDoc(doc(parent, 'x'), { high: maximum(3), low: minimum(7) });
  assert.deepEqual((await getDocFromServer(doc(parent, 'x'))).data(), { high: 9, low: 2, fresh: 1 });
});

test('a bundle of the Admin SDK is loaded and its named query answered', async () => {
  const parent = await seeded({ a: { n: 1 }, b: { n: 2 } });
  const name = unique('bundle');
  const admin = getAdminFirestore(initializeAdmin({ projectId: 'demo' }, unique('admin')));
  const bundle = admin.bundle(name).add(name, await admin.collection(parent.path).where('n', '>', 1).get()).build();
  const own = client();
  await loadBundle(own.db, new Uint8Array(bundle));
  const named = await namedQuery(own.db, name);
  assert.deepEqual(ids(await getDocsFromCache(named)), ['b']);
  assert.deepEqual(ids(await getDocs(named)), ['b']);
  await own.close();
});

test('snapshots are carried over as JSON and listened to from there', async () => {
  const parent = await seeded({ a: { n: 1 } });
  const json = (await getDocsFromServer(query(collection(second.db, parent.path), orderBy('n')))).toJSON();
  const one = (await getDocFromServer(doc(second.db, `${parent.path}/a`))).toJSON();
  assert.deepEqual(ids(querySnapshotFromJSON(db, json)), ['a']);
  assert.deepEqual(documentSnapshotFromJSON(db, one).data(), { n: 1 });
  const own = client();
  const seen = collector();
  const stop = onSnapshotResume(own.db, json, (snapshot) => seen.next(ids(snapshot).join()), seen.error);
  await setDoc(doc(parent, 'b'), { n: 2 });
  await seen.until((text) => text === 'a,b');
  stop();
  await own.close();
});

test('references and queries are compared', async () => {
  const parent = fresh();
  assert.ok(queryEqual(query(parent, where('n', '>', 1)), query(parent, where('n', '>', 1))));
  assert.ok(!queryEqual(query(parent, where('n', '>', 1)), query(parent, where('n', '>', 2))));
  const [one, two] = [await getCountFromServer(parent), await getCountFromServer(parent)];
  assert.ok(aggregateQuerySnapshotEqual(one, two));
  assert.ok(aggregateFieldEqual(count(), count()));
});

await run();
