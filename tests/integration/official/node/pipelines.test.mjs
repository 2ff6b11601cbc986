// npm `firebase/firestore/pipelines` (gRPC) and `firebase/firestore/lite/pipelines` (REST).
import { initializeApp } from 'firebase/app';
import { collection, connectFirestoreEmulator, doc, GeoPoint, getFirestore, limit, orderBy, query, setDoc, vector, where, writeBatch } from 'firebase/firestore';
import {
  and, array, arrayContainsAny, average, conditional, constant, countAll, countDistinct, cosineDistance, execute, field, map, maximum, or,
  variable,
} from 'firebase/firestore/pipelines';
import { connectFirestoreEmulator as connectLite, getFirestore as getLite } from 'firebase/firestore/lite';
import { execute as executeLite, field as fieldLite } from 'firebase/firestore/lite/pipelines';
import { assert, codeOf, host, loadRules, port, run, test, unique } from './harness.mjs';

function client(project = 'demo', mockUserToken = 'owner') {
  const db = getFirestore(initializeApp({ projectId: project, apiKey: 'key' }, unique('pipelines')));
  connectFirestoreEmulator(db, host, port, mockUserToken === null ? {} : { mockUserToken });
  return db;
}
const db = client();
const data = (snapshot) => snapshot.results.map((each) => each.data());

async function cities(of = db) {
  const name = unique();
  const batch = writeBatch(of);
  const put = (id, fields) => batch.set(doc(of, name, id), fields);
  put('b', { name: 'Berlin', land: 'DE', people: 3600, tags: ['capital', 'spree'], at: { lat: 52 } });
  put('h', { name: 'Hamburg', land: 'DE', people: 1900, tags: ['port'], at: { lat: 53 } });
  put('l', { name: 'Lyon', land: 'FR', people: 500, tags: [], at: { lat: 45 } });
  put('x', { name: 'Nowhere', land: null });
  await batch.commit();
  return name;
}

test('pipelines: documents are filtered, sorted, cut and selected', async () => {
  const name = await cities();
  const found = await execute(db.pipeline().collection(name)
    .where(and(field('people').greaterThan(400), field('land').notEqual('US')))
    .sort(field('people').descending()).offset(1).limit(2)
    .select('name', field('people').multiply(2).as('double'), 'at.lat'));
  assert.deepEqual(data(found), [
    { name: 'Hamburg', double: 3800, at: { lat: 53 } }, { name: 'Lyon', double: 1000, at: { lat: 45 } },
  ]);
  assert.equal(found.results[0].id, 'h');
  assert.ok(found.executionTime.toMillis() > 0);
});

test('pipelines: groups are aggregated', async () => {
  const name = await cities();
  const found = await execute(db.pipeline().collection(name).aggregate({
    accumulators: [countAll().as('n'), average('people').as('mean'), maximum('people').as('most')], groups: ['land'],
  }).sort(field('land').ascending()));
  assert.deepEqual(data(found), [
    { land: null, n: 1, mean: null, most: null },
    { land: 'DE', n: 2, mean: 2750, most: 3600 },
    { land: 'FR', n: 1, mean: 500, most: 500 },
  ]);
  const all = await execute(db.pipeline().collection(name).aggregate(countDistinct('land').as('lands')));
  assert.deepEqual(data(all), [{ lands: 2 }]);
  assert.equal(all.results[0].ref, undefined);
});

test('pipelines: fields are added, removed, replaced and taken apart', async () => {
  const name = await cities();
  const source = () => db.pipeline().collection(name).where(field('name').equal('Berlin'));
  const added = await execute(source()
    .addFields(conditional(field('people').greaterThan(1000), constant('large'), constant('small')).as('size'))
    .removeFields('tags', 'at.lat', 'people'));
  assert.deepEqual(data(added), [{ name: 'Berlin', land: 'DE', at: {}, size: 'large' }]);
  assert.deepEqual(data(await execute(source().replaceWith('at'))), [{ lat: 52 }]);
  const tags = await execute(source().unnest(field('tags').as('tag'), 'at_index').select('tag', 'at_index'));
  assert.deepEqual(data(tags), [{ tag: 'capital', at_index: 0 }, { tag: 'spree', at_index: 1 }]);
});

test('pipelines: sources are groups, documents, and unions of pipelines', async () => {
  const name = await cities();
  const of = (id) => db.pipeline().documents([doc(db, name, id)]);
  const both = await execute(of('b').union(of('l')).sort(field('name').ascending()).select('name'));
  assert.deepEqual(data(both), [{ name: 'Berlin' }, { name: 'Lyon' }]);
  const group = unique('group');
  await setDoc(doc(db, 'a', unique(), group, 'one'), { n: 1 });
  await setDoc(doc(db, group, 'two'), { n: 2 });
  const grouped = await execute(db.pipeline().collectionGroup(group).sort(field('n').ascending()).select('n'));
  assert.deepEqual(data(grouped), [{ n: 1 }, { n: 2 }]);
  const distinct = await execute(db.pipeline().collection(name).distinct('land').where(field('land').exists()));
  assert.equal(distinct.results.length, 3);
  assert.equal((await execute(db.pipeline().collection(name).sample(2))).results.length, 2);
});

test('pipelines: nearest neighbours of a vector', async () => {
  const name = unique();
  for (const [id, v] of [['a', [1, 0]], ['b', [0, 1]], ['c', [1, 1]]]) await setDoc(doc(db, name, id), { v: vector(v) });
  const found = await execute(db.pipeline().collection(name).findNearest({
    field: 'v', vectorValue: vector([1, 0]), distanceMeasure: 'euclidean', limit: 2, distanceField: 'far',
  }).select('far', cosineDistance('v', vector([1, 0])).as('angle')));
  assert.deepEqual(found.results.map((each) => each.id), ['a', 'c']);
  assert.deepEqual(found.results[0].data(), { far: 0, angle: 0 });
});

test('pipelines: values of every type pass through', async () => {
  const name = unique();
  await setDoc(doc(db, name, 'a'), { point: new GeoPoint(1, 2), list: [1, { a: null }], nan: NaN });
  const [found] = data(await execute(db.pipeline().collection(name).addFields(
    map({ inner: array([constant(1), field('point')]) }).as('made'),
  )));
  assert.deepEqual(found.list, [1, { a: null }]);
  assert.ok(Number.isNaN(found.nan));
  assert.ok(found.made.inner[1].isEqual(new GeoPoint(1, 2)));
});

test('pipelines: a query becomes a pipeline', async () => {
  const name = await cities();
  const asked = query(collection(db, name), where('people', '>=', 500), orderBy('people', 'desc'), limit(2));
  const found = await execute(db.pipeline().createFrom(asked).select('name'));
  assert.deepEqual(data(found), [{ name: 'Berlin' }, { name: 'Hamburg' }]);
});

test('pipelines: pipelines within expressions see variables', async () => {
  const name = await cities();
  const found = await execute(db.pipeline().collection(name).where(field('name').equal('Hamburg'))
    .define(field('land').as('home'))
    .select(db.pipeline().collection(name).where(field('land').equal(variable('home')))
      .sort(field('name').ascending()).select('name').toArrayExpression().as('neighbours')));
  assert.deepEqual(data(found), [{ neighbours: ['Berlin', 'Hamburg'] }]);
});

test('pipelines: mistakes are refused', async () => {
  const name = await cities();
  const all = () => db.pipeline().collection(name);
  assert.equal(await codeOf(execute(all().select(field('name').add(1).as('n')))), 'invalid-argument');
  assert.equal(await codeOf(execute(all().rawStage('no_such_stage', []))), 'unimplemented');
  await assert.rejects(execute(all().rawStage('select', [field('name')])), /Expected fields to be MAP_VALUE, but was FIELD_REFERENCE_VALUE\./);
  assert.equal(await codeOf(execute(all().rawStage('limit', [constant(-1)]))), 'invalid-argument');
  await assert.rejects(execute(all().limit(1).select(all().toScalarExpression().as('only'))), /Subpipeline returned multiple results/);
  const errors = await execute(all().where(field('name').add(1).equal(2)));
  assert.equal(errors.results.length, 0);
});

test('pipelines: rules must allow what the opening conditions ask for', async () => {
  const project = unique('project');
  await loadRules(`rules_version = '2';
    service cloud.firestore { match /databases/{d}/documents { match /c/{id} {
      allow read: if resource.data.owner == request.auth.uid; allow write: if true; } } }`, project);
  const own = client(project, { sub: 'alice' });
  await setDoc(doc(own, 'c/a'), { owner: 'alice', n: 1 });
  await setDoc(doc(own, 'c/b'), { owner: 'bob', n: 2 });
  const mine = () => own.pipeline().collection('c').where(field('owner').equal('alice'));
  const denied = async (pipeline) => assert.equal(await codeOf(execute(pipeline)), 'permission-denied');
  assert.deepEqual(data(await execute(mine().select('n'))), [{ n: 1 }]);
  assert.deepEqual(data(await execute(own.pipeline().documents([doc(own, 'c/a')]).select('n'))), [{ n: 1 }]);
  await denied(own.pipeline().collection('c'));
  await denied(own.pipeline().collection('c').limit(1).where(field('owner').equal('alice')));
  await denied(own.pipeline().collection('c').where(or(field('owner').equal('alice'), field('n').equal(2))));
  await denied(own.pipeline().documents([doc(own, 'c/b')]));
  await denied(own.pipeline().database());
  await denied(mine().union(own.pipeline().collection('c')));
  await denied(mine().addFields(own.pipeline().collection('c').toArrayExpression().as('all')));
  await denied(mine().where(arrayContainsAny('x', [1])).union(own.pipeline().collectionGroup('c')));
});

test('pipelines: lite asks over REST', async () => {
  const name = await cities();
  const lite = getLite(initializeApp({ projectId: 'demo', apiKey: 'key' }, unique('lite')));
  connectLite(lite, host, port, { mockUserToken: 'owner' });
  const found = await executeLite(lite.pipeline().collection(name)
    .where(fieldLite('people').greaterThan(600)).sort(fieldLite('people').ascending()).select('name'));
  assert.deepEqual(data(found), [{ name: 'Hamburg' }, { name: 'Berlin' }]);
});

await run();
