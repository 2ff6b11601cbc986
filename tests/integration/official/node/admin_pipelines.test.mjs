// npm `firebase-admin`: `db.pipeline()`, with the functions of `@google-cloud/firestore/pipelines`.
import { Pipelines } from '@google-cloud/firestore';
import { initializeApp } from 'firebase-admin/app';
import { FieldValue, getFirestore } from 'firebase-admin/firestore';
import { assert, run, test, unique } from './harness.mjs';

const { average, constant, countAll, equal, field } = Pipelines;
const db = getFirestore(initializeApp({ projectId: 'demo' }));
const data = (snapshot) => snapshot.results.map((each) => each.data());

async function books() {
  const parent = db.collection(unique('books'));
  const batch = db.batch();
  batch.set(parent.doc('a'), { title: 'Emma', year: 1815, tags: ['novel'], awards: { one: true } });
  batch.set(parent.doc('b'), { title: 'Dune', year: 1965, tags: ['novel', 'desert'] });
  batch.set(parent.doc('c'), { title: 'Ulysses', year: 1922, tags: [] });
  await batch.commit();
  return parent;
}

test('admin pipelines: documents are filtered, sorted and selected', async () => {
  const parent = await books();
  const found = await db.pipeline().collection(parent.path).where(field('year').greaterThan(1900))
    .sort(field('year').descending()).select('title', field('year').add(1).as('next')).execute();
  assert.deepEqual(data(found), [{ title: 'Dune', next: 1966 }, { title: 'Ulysses', next: 1923 }]);
  assert.ok(found.executionTime.toMillis() > 0);
  const nested = await db.pipeline().collection(parent.path).where(equal('awards.one', true)).select('awards.one').execute();
  assert.deepEqual(data(nested), [{ awards: { one: true } }]);
});

test('admin pipelines: what there is is aggregated', async () => {
  const parent = await books();
  const figures = await db.pipeline().collection(parent.path)
    .aggregate(countAll().as('books'), average('year').as('mean')).execute();
  assert.deepEqual(data(figures), [{ books: 3, mean: (1815 + 1965 + 1922) / 3 }]);
});

test('admin pipelines: a query becomes a pipeline, and a transaction reads one', async () => {
  const parent = await books();
  const pipeline = db.pipeline().createFrom(parent.where('year', '<', 1950).orderBy('year'));
  assert.deepEqual(data(await pipeline.execute()).map((each) => each.title), ['Emma', 'Ulysses']);
  const titles = await db.runTransaction(async (transaction) => {
    const found = await transaction.execute(pipeline);
    transaction.update(parent.doc('a'), { seen: true });
    return data(found).map((each) => each.title);
  });
  assert.deepEqual(titles, ['Emma', 'Ulysses']);
  assert.equal((await parent.doc('a').get()).data().seen, true);
});

test('admin pipelines: what they took is told', async () => {
  const parent = await books();
  const analyzed = await db.pipeline().collection(parent.path).execute({ explainOptions: { mode: 'analyze' } });
  assert.match(analyzed.explainStats.text, /^Execution:\n {2}results returned: 3\n/);
});

test('admin pipelines: documents are updated and deleted', async () => {
  const parent = await books();
  const source = db.pipeline().collection(parent.path);
  const aged = await source.where(field('year').lessThan(1950)).removeFields('tags')
    .update(constant('classic').as('kind'), field('year').add(1).as('next')).execute();
  assert.deepEqual(data(aged), [{ documents_modified: 2 }]);
  assert.deepEqual((await parent.doc('c').get()).data(), { title: 'Ulysses', year: 1922, kind: 'classic', next: 1923 });
  assert.deepEqual(data(await source.where(equal('kind', 'classic')).delete().execute()), [{ documents_modified: 2 }]);
  assert.deepEqual((await parent.get()).docs.map((each) => each.id), ['b']);
});

test('admin pipelines: an update skips what is missing, and is refused as a whole when it is atomic', async () => {
  const parent = await books();
  const some = db.pipeline().literals([{ __name__: parent.doc('a'), year: 1 }, { __name__: parent.doc('missing'), year: 1 }]).update();
  await assert.rejects(some.execute({ atomic: true }), { code: 5 });
  assert.equal((await parent.doc('a').get()).data().year, 1815);
  assert.deepEqual(data(await some.execute()), [{ documents_modified: 1 }]);
  assert.deepEqual((await parent.doc('a').get()).data(), { year: 1 });
});

test('admin: maximum and minimum are computed by the server', async () => {
  const reference = db.doc(`${unique()}/x`);
  await reference.set({ high: 5, low: 5 });
  await reference.update({ high: FieldValue.maximum(9), low: FieldValue.minimum(7) });
  assert.deepEqual((await reference.get()).data(), { high: 9, low: 5 });
});

await run();
