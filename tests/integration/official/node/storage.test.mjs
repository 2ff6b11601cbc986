// npm `firebase/storage` in Node.
import { initializeApp } from 'firebase/app';
import {
  connectStorageEmulator, deleteObject, getBytes, getDownloadURL, getMetadata, getStorage, getStream, list, listAll, ref,
  updateMetadata, uploadBytes, uploadBytesResumable, uploadString,
} from 'firebase/storage';
import { assert, codeOf, host, port, run, test, unique } from './harness.mjs';

function client(mockUserToken = 'owner') {
  const app = initializeApp({ projectId: 'demo', apiKey: 'key', storageBucket: 'demo.appspot.com' }, unique('storage'));
  const storage = getStorage(app);
  connectStorageEmulator(storage, host, port, mockUserToken ? { mockUserToken } : {});
  return storage;
}
const storage = client();
const fresh = () => unique('folder');
const text = (buffer) => new TextDecoder().decode(buffer);

test('storage: bytes are uploaded and downloaded', async () => {
  const reference = ref(storage, `${fresh()}/a b ü.txt`);
  const snapshot = await uploadBytes(reference, new TextEncoder().encode('hello'), { contentType: 'text/plain', customMetadata: { k: 'v' } });
  assert.equal(snapshot.metadata.size, 5);
  assert.equal(text(await getBytes(reference)), 'hello');
  assert.equal(text(await getBytes(reference, 5)), 'hello');
});

test('storage: strings are uploaded in every format', async () => {
  const folder = fresh();
  for (const [format, value] of [['raw', 'hi'], ['base64', 'aGk='], ['base64url', 'aGk'], ['data_url', 'data:text/plain;base64,aGk=']]) {
    const reference = ref(storage, `${folder}/${format}`);
    await uploadString(reference, value, format);
    assert.equal(text(await getBytes(reference)), 'hi');
  }
});

test('storage: a download URL works without credentials', async () => {
  const reference = ref(storage, `${fresh()}/x`);
  await uploadString(reference, 'open');
  const url = await getDownloadURL(reference);
  assert.equal(await (await fetch(url)).text(), 'open');
});

test('storage: a resumable upload tells its progress, pauses and goes on', async () => {
  const reference = ref(storage, `${fresh()}/big`);
  const data = new Uint8Array(1_500_000).fill(7);
  const task = uploadBytesResumable(reference, data);
  const progress = [];
  task.on('state_changed', (snapshot) => {
    progress.push(snapshot.bytesTransferred);
    if (progress.length === 2) { task.pause(); setTimeout(() => task.resume(), 20); }
  });
  const snapshot = await task;
  assert.equal(snapshot.bytesTransferred, data.length);
  assert.ok(progress.length > 2);
  const back = new Uint8Array(await getBytes(reference));
  assert.equal(back.length, data.length);
  assert.ok(back.every((byte) => byte === 7));
});

test('storage: a cancelled upload leaves nothing', async () => {
  const reference = ref(storage, `${fresh()}/never`);
  const task = uploadBytesResumable(reference, new Uint8Array(3_000_000));
  task.on('state_changed', () => task.cancel(), () => {});
  assert.equal(await codeOf(task), 'storage/canceled');
  assert.equal(await codeOf(getMetadata(reference)), 'storage/object-not-found');
});

test('storage: metadata is read and changed', async () => {
  const reference = ref(storage, `${fresh()}/x`);
  await uploadString(reference, 'a', 'raw', { contentType: 'text/plain', customMetadata: { a: '1', b: '2' } });
  await updateMetadata(reference, { cacheControl: 'max-age=9', customMetadata: { b: null, c: '3' } });
  const metadata = await getMetadata(reference);
  assert.equal(metadata.cacheControl, 'max-age=9');
  assert.equal(metadata.contentType, 'text/plain');
  assert.equal(metadata.customMetadata.c, '3');
  assert.equal(metadata.bucket, 'demo.appspot.com');
  assert.ok(Date.parse(metadata.timeCreated) <= Date.parse(metadata.updated));
});

test('storage: folders are listed, whole and by pages', async () => {
  const folder = fresh();
  for (const name of ['a', 'b', 'sub/c', 'sub/d', 'zub/e']) await uploadString(ref(storage, `${folder}/${name}`), name);
  const all = await listAll(ref(storage, folder));
  assert.deepEqual(all.items.map((each) => each.name), ['a', 'b']);
  assert.deepEqual(all.prefixes.map((each) => each.name), ['sub', 'zub']);
  const page = await list(ref(storage, folder), { maxResults: 2 });
  assert.ok(page.nextPageToken);
});

test('storage: a deleted object is gone', async () => {
  const reference = ref(storage, `${fresh()}/x`);
  await uploadString(reference, 'a');
  await deleteObject(reference);
  assert.equal(await codeOf(getBytes(reference)), 'storage/object-not-found');
  assert.equal(await codeOf(deleteObject(reference)), 'storage/object-not-found');
});

test('storage: an object is read as a stream', async () => {
  const reference = ref(storage, `${fresh()}/x`);
  await uploadString(reference, 'streamed');
  const chunks = [];
  for await (const chunk of getStream(reference)) chunks.push(chunk);
  assert.equal(Buffer.concat(chunks).toString(), 'streamed');
});

await run();
