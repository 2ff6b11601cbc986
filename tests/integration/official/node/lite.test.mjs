// npm `firebase/firestore/lite`: REST by fetch.
import { initializeApp } from 'firebase/app';
import {
  addDoc, and, arrayRemove, arrayUnion, average, collection, collectionGroup, connectFirestoreEmulator, count, deleteDoc,
  deleteField, doc, documentId, endAt, endBefore, getAggregate, getCount, getDoc,
  getDocs, getFirestore, increment, limit, limitToLast,   or, orderBy, query, queryEqual, refEqual, runTransaction, serverTimestamp, setDoc, snapshotEqual, startAfter,
  startAt, sum, updateDoc, vector, where, writeBatch,
} from 'firebase/firestore/lite';
import * as everything from 'firebase/firestore/lite';
import { assert, codeOf, host, loadRules, port, run, test, unique } from './harness.mjs';

// not in the versions one major back
const { maximum, minimum } = everything;

function client(project = 'demo', mockUserToken = 'owner') {
  const db = getFirestore(initializeApp({ projectId: project, apiKey: 'key' }, unique('lite')));
  connectFirestoreEmulator(db, host, port, mockUserToken === null ? {} : { mockUserToken });
  return db;
}
const db = client();
const fresh = () => collection(db, unique());

test('lite: documents are written, read, changed and deleted', async () => {
  const parent = fresh();
  const reference = await addDoc(parent, { n: 1, text: 'é😀' });
  await updateDoc(reference, { n: increment(2) });
  assert.deepEqual((await getDoc(reference)).data(), { n: 3, text: 'é😀' });
  await deleteDoc(reference);
  assert.equal((await getDoc(reference)).exists(), false);
});

test('lite: ids with special characters are addressed', async () => {
  const reference = doc(fresh(), 'a b%ü😀:?#&=+');
  await setDoc(reference, { n: 1 });
  assert.deepEqual((await getDoc(reference)).data(), { n: 1 });
});

test('lite: batches and queries', async () => {
  const parent = fresh();
  const batch = writeBatch(db);
  for (let n = 0; n < 5; n += 1) batch.set(doc(parent, `d${n}`), { n });
  await batch.commit();
  const found = await getDocs(query(parent, where('n', '>=', 1), orderBy('n', 'desc'), limit(2)));
  assert.deepEqual(found.docs.map((each) => each.id), ['d4', 'd3']);
  assert.equal((await getDocs(query(parent, where('n', '>', 9)))).empty, true);
});

test('lite: counts and aggregates', async () => {
  const parent = fresh();
  for (const n of [1, 2, 3]) await addDoc(parent, { n });
  assert.equal((await getCount(parent)).data().count, 3);
  const figures = await getAggregate(parent, { total: sum('n'), mean: average('n'), number: count() });
  assert.deepEqual(figures.data(), { total: 6, mean: 2, number: 3 });
});

test('lite: transactions retry on conflict', async () => {
  const reference = doc(fresh(), 'x');
  await setDoc(reference, { n: 0 });
  let runs = 0;
  await runTransaction(db, async (transaction) => {
    runs += 1;
    const snapshot = await transaction.get(reference);
    if (runs === 1) await updateDoc(reference, { n: increment(10) });
    transaction.update(reference, { n: snapshot.data().n + 1 });
  });
  assert.equal((await getDoc(reference)).data().n, 11);
  assert.ok(runs > 1);
});

test('lite: a missing document cannot be updated', async () => {
  assert.equal(await codeOf(updateDoc(doc(fresh(), 'x'), { n: 1 })), 'not-found');
});

test('lite: rules deny with permission-denied', async () => {
  const project = unique('rules-');
  await loadRules(`rules_version = '2';
    service cloud.firestore { match /databases/{d}/documents { match /a/{id} { allow read: if true; } } }`, project);
  const own = client(project, null);
  assert.equal((await getDoc(doc(own, 'a/x'))).exists(), false);
  assert.equal(await codeOf(setDoc(doc(own, 'a/x'), {})), 'permission-denied');
  assert.equal(await codeOf(getDocs(collection(own, 'b'))), 'permission-denied');
});

test('lite: cursors, composite filters, groups and transforms', async () => {
  const group = unique('group');
  const parent = collection(db, `top/${unique()}/${group}`);
  for (const [id, n] of [['a', 1], ['b', 2], ['c', 3]]) await setDoc(doc(parent, id), { n, list: [1], gone: true });
  const found = async (...constraints) => (await getDocs(query(parent, ...constraints))).docs.map((each) => each.id);
  assert.deepEqual(await found(orderBy('n'), startAt(2)), ['b', 'c']);
  assert.deepEqual(await found(orderBy('n'), startAfter(2)), ['c']);
  assert.deepEqual(await found(orderBy('n'), endAt(2)), ['a', 'b']);
  assert.deepEqual(await found(orderBy('n'), endBefore(2)), ['a']);
  assert.deepEqual(await found(orderBy('n'), limitToLast(1)), ['c']);
  assert.deepEqual(await found(or(and(where('n', '>', 2), where('gone', '==', true)), where('n', '==', 1))), ['a', 'c']);
  assert.deepEqual(await found(where(documentId(), '==', 'b')), ['b']);
  assert.equal((await getDocs(collectionGroup(db, group))).size, 3);
  const reference = doc(parent, 'a');
  await updateDoc(reference, {
    list: arrayUnion(2), n: maximum(9), low: minimum(3), gone: deleteField(), time: serverTimestamp(), v: vector([1, 2]),
  });
  await updateDoc(reference, { list: arrayRemove(1) });
  const { time, v, ...rest } = (await getDoc(reference)).data();
  assert.deepEqual(rest, { list: [2], n: 9, low: 3 });
  assert.ok(time.toMillis() > 0 && v.isEqual(vector([1, 2])));
  assert.ok(refEqual(reference, doc(parent, 'a')) && queryEqual(query(parent), query(parent)));
  assert.ok(snapshotEqual(await getDoc(reference), await getDoc(reference)));
});

await run();
