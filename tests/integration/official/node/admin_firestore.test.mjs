// npm `firebase-admin`: Firestore, over gRPC, as `Bearer owner`.
import { initializeApp } from 'firebase-admin/app';
import {
  AggregateField, BulkWriter, FieldPath, FieldValue, Filter, GeoPoint, Timestamp, getFirestore,
} from 'firebase-admin/firestore';
import { assert, collector, run, test, unique } from './harness.mjs';

const app = initializeApp({ projectId: 'demo' });
const db = getFirestore(app);
const fresh = () => db.collection(unique('admin'));
const ids = (snapshot) => snapshot.docs.map((each) => each.id);

async function seeded(documents) {
  const parent = fresh();
  const batch = db.batch();
  for (const [id, data] of Object.entries(documents)) batch.set(parent.doc(id), data);
  await batch.commit();
  return parent;
}

test('admin: documents are created, read, changed and deleted', async () => {
  const reference = fresh().doc('x');
  const created = await reference.create({ n: 1, bytes: Buffer.from([0, 255]), point: new GeoPoint(1, 2) });
  assert.ok(created.writeTime instanceof Timestamp);
  await assert.rejects(reference.create({ n: 2 }), { code: 6 });
  await reference.update({ 'map.inner': 5, n: FieldValue.increment(1), gone: FieldValue.delete() });
  const snapshot = await reference.get();
  assert.equal(snapshot.data().n, 2);
  assert.equal(snapshot.data().map.inner, 5);
  assert.ok(snapshot.updateTime.toMillis() >= snapshot.createTime.toMillis());
  await reference.delete({ exists: true });
  await assert.rejects(reference.delete({ exists: true }), { code: 5 });
  await assert.rejects(reference.update({ n: 1 }), { code: 5 });
});

test('admin: an update time as precondition', async () => {
  const reference = fresh().doc('x');
  const first = await reference.set({ n: 1 });
  await reference.set({ n: 2 });
  await assert.rejects(reference.update({ n: 3 }, { lastUpdateTime: first.writeTime }), { code: 9 });
  const current = await reference.get();
  await reference.update({ n: 3 }, { lastUpdateTime: current.updateTime });
});

test('admin: transforms, vectors and big integers', async () => {
  const reference = fresh().doc('x');
  await reference.set({ list: [1], vector: FieldValue.vector([1, 2]), big: 2n ** 62n, time: FieldValue.serverTimestamp() });
  await reference.update({ list: FieldValue.arrayUnion(1, 2), n: FieldValue.increment(3) });
  const data = (await reference.get()).data();
  assert.deepEqual(data.list, [1, 2]);
  assert.ok(data.vector.isEqual(FieldValue.vector([1, 2])));
  assert.equal(data.n, 3);
});

test('admin: getAll keeps the order asked for, with masks and missing documents', async () => {
  const parent = await seeded({ a: { x: 1, y: 2 }, b: { x: 3, y: 4 } });
  const found = await db.getAll(parent.doc('b'), parent.doc('none'), parent.doc('a'), { fieldMask: ['x'] });
  assert.deepEqual(found.map((each) => each.data()), [{ x: 3 }, undefined, { x: 1 }]);
});

test('admin: queries without an order come in the order of names', async () => {
  const parent = await seeded({ b: { n: 1 }, a: { n: 2 }, 'ä': { n: 3 }, Z: { n: 4 } });
  assert.deepEqual(ids(await parent.get()), ['Z', 'a', 'b', 'ä']);
  assert.deepEqual(ids(await parent.where('n', '>', 1).get()), ['a', 'ä', 'Z']);
});

test('admin: queries filter, page, select and skip', async () => {
  const parent = await seeded({ a: { n: 1, t: 'x' }, b: { n: 2, t: 'y' }, c: { n: 3, t: 'x' }, d: { n: 4, t: 'z' } });
  assert.deepEqual(ids(await parent.where(Filter.or(Filter.where('t', '==', 'y'), Filter.where('n', '>', 3))).get()), ['b', 'd']);
  assert.deepEqual(ids(await parent.orderBy('n', 'desc').offset(1).limit(2).get()), ['c', 'b']);
  assert.deepEqual(ids(await parent.orderBy('n').limitToLast(2).get()), ['c', 'd']);
  assert.deepEqual((await parent.select('t').get()).docs[0].data(), { t: 'x' });
  assert.deepEqual((await parent.select().get()).docs[0].data(), {});
  assert.deepEqual(ids(await parent.where(FieldPath.documentId(), 'in', ['a', 'd', 'none']).get()), ['a', 'd']);
  const stream = [];
  for await (const each of parent.orderBy('n').stream()) stream.push(each.id);
  assert.deepEqual(stream, ['a', 'b', 'c', 'd']);
  assert.equal((await fresh().get()).empty, true);
});

test('admin: cursors by value and by document', async () => {
  const parent = await seeded({ a: { n: 1 }, b: { n: 2 }, c: { n: 3 }, d: { n: 4 } });
  const ordered = parent.orderBy('n');
  assert.deepEqual(ids(await ordered.startAt(2).endBefore(4).get()), ['b', 'c']);
  assert.deepEqual(ids(await ordered.startAfter(await parent.doc('b').get()).endAt(4).get()), ['c', 'd']);
});

test('admin: converters, and what is the same', async () => {
  const parent = fresh();
  const converter = { toFirestore: ({ n }) => ({ n: n + 100 }), fromFirestore: (snapshot) => ({ n: snapshot.data().n - 100 }) };
  const added = await parent.withConverter(converter).add({ n: 5 });
  assert.match(added.id, /^[A-Za-z0-9]{20}$/);
  assert.deepEqual((await added.get()).data(), { n: 5 });
  assert.deepEqual((await parent.doc(added.id).get()).data(), { n: 105 });
  const [query, same] = [parent.where('n', '>', 1), parent.where('n', '>', 1)];
  assert.ok(query.isEqual(same));
  assert.ok((await query.get()).isEqual(await same.get()));
  assert.ok((await parent.doc(added.id).get()).isEqual(await parent.doc(added.id).get()));
  assert.deepEqual((await query.get()).docChanges().map((each) => each.type), ['added']);
  assert.ok((await db.listCollections()).some((each) => each.path === parent.path));
});

test('admin: counts and aggregates', async () => {
  const parent = await seeded({ a: { n: 1 }, b: { n: 2 }, c: { n: 4.5 } });
  assert.equal((await parent.count().get()).data().count, 3);
  const figures = await parent.aggregate({
    sum: AggregateField.sum('n'), average: AggregateField.average('n'), count: AggregateField.count(),
  }).get();
  assert.deepEqual(figures.data(), { sum: 7.5, average: 2.5, count: 3 });
});

test('admin: nearest neighbours of a vector', async () => {
  const parent = await seeded({
    near: { v: FieldValue.vector([1, 0]) }, far: { v: FieldValue.vector([9, 9]) }, mid: { v: FieldValue.vector([2, 2]) },
  });
  const found = await parent.findNearest({
    vectorField: 'v', queryVector: [1, 0], limit: 2, distanceMeasure: 'EUCLIDEAN', distanceResultField: 'd',
  }).get();
  assert.deepEqual(ids(found), ['near', 'mid']);
  assert.equal(found.docs[0].get('d'), 0);
});

test('admin: transactions read, query and write at one version', async () => {
  const parent = await seeded({ a: { n: 1 }, b: { n: 2 } });
  const total = await db.runTransaction(async (transaction) => {
    const [one, all] = [await transaction.get(parent.doc('a')), await transaction.get(parent.where('n', '>', 1))];
    transaction.update(parent.doc('a'), { n: one.data().n + all.docs[0].data().n });
    return all.size;
  });
  assert.equal(total, 1);
  assert.equal((await parent.doc('a').get()).data().n, 3);
});

test('admin: transactions create, set, delete and get many', async () => {
  const parent = await seeded({ a: { n: 1 }, b: { n: 2 } });
  await db.runTransaction(async (transaction) => {
    const found = await transaction.getAll(parent.doc('a'), parent.doc('b'));
    const sum = (await transaction.get(parent.count())).data().count;
    transaction.create(parent.doc('c'), { n: found[0].data().n + found[1].data().n, sum });
    transaction.set(parent.doc('a'), { m: 1 }, { merge: true }).delete(parent.doc('b'));
  });
  const all = Object.fromEntries((await parent.get()).docs.map((each) => [each.id, each.data()]));
  assert.deepEqual(all, { a: { n: 1, m: 1 }, c: { n: 3, sum: 2 } });
});

test('admin: concurrent transactions lose no update', async () => {
  const parent = await seeded({ x: { n: 0 } });
  await Promise.all(Array.from({ length: 5 }, () => db.runTransaction(async (transaction) => {
    const snapshot = await transaction.get(parent.doc('x'));
    transaction.update(parent.doc('x'), { n: snapshot.data().n + 1 });
  }, { maxAttempts: 30 })));
  assert.equal((await parent.doc('x').get()).data().n, 5);
});

test('admin: a failed transaction is rolled back', async () => {
  const parent = await seeded({ x: { n: 0 } });
  await assert.rejects(db.runTransaction(async (transaction) => {
    await transaction.get(parent.doc('x'));
    transaction.update(parent.doc('x'), { n: 1 });
    throw new Error('no');
  }), /no/);
  assert.equal((await parent.doc('x').get()).data().n, 0);
});

test('admin: read-only transactions, now and in the past', async () => {
  const parent = await seeded({ x: { n: 0 } });
  const { readTime } = await parent.doc('x').get();
  await parent.doc('x').update({ n: 1 });
  const now = await db.runTransaction(async (transaction) => (await transaction.get(parent.doc('x'))).data().n, { readOnly: true });
  const past = await db.runTransaction(async (transaction) => (await transaction.get(parent.doc('x'))).data().n, { readOnly: true, readTime });
  assert.deepEqual([now, past], [1, 0]);
});

test('admin: the bulk writer makes what it can and tells what failed', async () => {
  const parent = fresh();
  const writer = db.bulkWriter();
  const failures = [];
  writer.onWriteError((error) => { failures.push(error.code); return false; });
  const written = [];
  writer.onWriteResult((reference) => written.push(reference.id));
  for (let number = 0; number < 120; number += 1) writer.set(parent.doc(`d${String(number).padStart(3, '0')}`), { number });
  writer.create(parent.doc('d000x'), {}).catch(() => {});
  writer.update(parent.doc('missing'), { a: 1 }).catch(() => {});
  await writer.flush();
  writer.set(parent.doc('gone'), {});
  await writer.flush();
  writer.delete(parent.doc('gone'));
  await writer.close();
  assert.equal(written.length, 123);
  assert.ok(writer instanceof BulkWriter);
  assert.deepEqual(failures, [5]);
  assert.equal((await parent.count().get()).data().count, 121);
});

test('admin: recursiveDelete removes a tree', async () => {
  const parent = await seeded({ x: { n: 0 } });
  await parent.doc('x').collection('sub').doc('y').set({ n: 1 });
  await parent.doc('ghost').collection('sub').doc('z').set({ n: 1 });
  await db.recursiveDelete(parent);
  assert.equal((await parent.get()).size, 0);
  assert.deepEqual(await parent.listDocuments(), []);
});

test('admin: listDocuments shows missing parents, listCollections their collections', async () => {
  const parent = await seeded({ a: {} });
  await parent.doc('ghost').collection('sub').doc('z').set({ n: 1 });
  await parent.doc('ghost').collection('other').doc('z').set({ n: 1 });
  assert.deepEqual((await parent.listDocuments()).map((each) => each.id).sort(), ['a', 'ghost']);
  assert.deepEqual((await parent.doc('ghost').listCollections()).map((each) => each.id), ['other', 'sub']);
});

test('admin: partitions of a collection group cover it once', async () => {
  const group = unique('group');
  const batch = db.batch();
  for (let number = 0; number < 40; number += 1) batch.set(db.doc(`top/${number % 3}/${group}/d${number}`), { number });
  await batch.commit();
  const seen = [];
  for await (const partition of db.collectionGroup(group).getPartitions(4)) {
    (await partition.toQuery().get()).forEach((each) => seen.push(each.ref.path));
  }
  assert.equal(seen.length, 40);
  assert.equal(new Set(seen).size, 40);
});

test('admin: listeners on documents and queries', async () => {
  const parent = await seeded({ a: { n: 1 } });
  const [one, many] = [collector(), collector()];
  const stops = [
    parent.doc('a').onSnapshot((snapshot) => one.next(snapshot.data()?.n ?? null), one.error),
    parent.where('n', '>', 0).onSnapshot((snapshot) => many.next(ids(snapshot).join()), many.error),
  ];
  await one.until((n) => n === 1);
  await many.until((text) => text === 'a');
  await parent.doc('b').set({ n: 5 });
  await many.until((text) => text === 'a,b');
  await parent.doc('a').delete();
  await one.until((n) => n === null);
  await many.until((text) => text === 'b');
  stops.forEach((stop) => stop());
});

test('admin: explain tells the plan and what it took', async () => {
  const parent = await seeded({ a: { n: 1 }, b: { n: 2 } });
  const planned = await parent.where('n', '>', 1).explain();
  assert.ok(planned.metrics.planSummary);
  assert.equal(planned.snapshot, null);
  const analyzed = await parent.where('n', '>', 1).explain({ analyze: true });
  assert.equal(analyzed.snapshot.size, 1);
  assert.equal(analyzed.metrics.executionStats.resultsReturned, 1);
  const streamed = [];
  for await (const each of parent.where('n', '>', 0).explainStream({ analyze: true })) streamed.push(each);
  assert.equal(streamed.filter((each) => each.document).length, 2);
  assert.equal(streamed.filter((each) => each.metrics).length, 1);
});

test('admin: the default and a named database are apart', async () => {
  const other = getFirestore(app, 'other-one');
  const path = `${unique()}/x`;
  await other.doc(path).set({ n: 1 });
  assert.equal((await db.doc(path).get()).exists, false);
  assert.equal((await other.doc(path).get()).data().n, 1);
});

test('admin: a client is terminated, and the others live on', async () => {
  const other = getFirestore(initializeApp({ projectId: 'demo' }, unique('terminated')));
  const path = `${unique()}/x`;
  await other.doc(path).set({ n: 1 });
  await other.terminate();
  assert.deepEqual((await db.doc(path).get()).data(), { n: 1 });
});

test('admin: a large query streams whole', async () => {
  const parent = fresh();
  const writer = db.bulkWriter();
  for (let number = 0; number < 600; number += 1) writer.set(parent.doc(`d${number}`), { text: 'x'.repeat(5000) });
  await writer.close();
  assert.equal((await parent.get()).size, 600);
});

await run();
