// One client's work against a server, timed operation by operation. Run by bench/sdk.py, which reads the lines.
//
//   node sdk_work.mjs {"host", "port", "email", "password", "kind", "operations"}   kind: grpc | rest | websocket
//
// After each kind of work a line of JSON: {work, milliseconds: [...]}. Before it, `{work, begins: true}`, answered
// by a line on standard input, so that the server's CPU can be read in between.
import { createInterface } from 'node:readline';
import { createRequire } from 'node:module';

const options = JSON.parse(process.argv[2]);
const require = createRequire(`${process.cwd()}/`);
const { initializeApp } = require('firebase/app');
const { connectAuthEmulator, getAuth, signInWithEmailAndPassword } = require('firebase/auth');

const app = initializeApp({ projectId: 'homefire', apiKey: 'bench' });
const auth = getAuth(app);
connectAuthEmulator(auth, `http://${options.host}:${options.port}`, { disableWarnings: true });
const { user } = await signInWithEmailAndPassword(auth, options.email, options.password);
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

const post = (n) => ({
  authorId: user.uid, title: `The title of post number ${n}`, content: 'Lorem ipsum dolor sit amet. '.repeat(8),
  createdAt: new Date(Date.UTC(2026, 0, 1) + n), likes: n,
});
const prefix = `${options.kind}-${Date.now()}-`;

async function timed(work, step) {
  for (let n = 0; n < 20; n += 1) await step(n);
  console.log(JSON.stringify({ work, begins: true }));
  await lines.next();
  const milliseconds = [];
  for (let n = 20; n < 20 + options.operations; n += 1) {
    const began = performance.now();
    await step(n);
    milliseconds.push(performance.now() - began);
  }
  console.log(JSON.stringify({ work, milliseconds }));
  await lines.next();
}

/** The SDKs, whole or lite: their functions have the same names. */
async function withSdk(sdk) {
  const db = sdk.getFirestore(app);
  sdk.connectFirestoreEmulator(db, options.host, options.port);
  const posts = sdk.collection(db, 'posts');
  const get = sdk.getDocFromServer ?? sdk.getDoc;
  const getAll = sdk.getDocsFromServer ?? sdk.getDocs;
  const newest = sdk.query(
    posts, sdk.where('authorId', '==', user.uid), sdk.orderBy('createdAt', 'desc'), sdk.limit(20),
  );
  await timed('create', (n) => sdk.setDoc(sdk.doc(posts, `${prefix}${n}`), post(n)));
  await timed('get', async (n) => {
    if (!(await get(sdk.doc(posts, `${prefix}${n}`))).exists()) throw new Error('a document is missing');
  });
  await timed('query', async () => {
    if ((await getAll(newest)).size !== 20) throw new Error('the query found too few');
  });
  if (!sdk.onSnapshot) return;
  const watched = sdk.doc(posts, `${prefix}20`);
  let arrived = () => {};
  const end = sdk.onSnapshot(watched, { includeMetadataChanges: true }, (snapshot) => {
    if (!snapshot.metadata.hasPendingWrites && !snapshot.metadata.fromCache) arrived(snapshot.get('likes'));
  });
  await timed('listen', (n) => new Promise((resolve) => {
    arrived = (likes) => likes === -n && resolve();
    sdk.updateDoc(watched, { likes: -n });
  }));
  end();
}

async function withWebSocket() {
  const WebSocket = require('faye-websocket').Client; // the SDK's own dependency
  const root = 'projects/homefire/databases/(default)';
  const token = await user.getIdToken();
  const socket = new WebSocket(`ws://${options.host}:${options.port}/v1/${root}/listen`, ['homefire.v1'], {
    headers: { Authorization: `Bearer ${token}` },
  });
  let heard = () => {};
  socket.on('message', (event) => heard(JSON.parse(event.data)));
  await new Promise((resolve) => { socket.on('open', resolve); });
  const until = (done, ...frames) => new Promise((resolve, reject) => {
    heard = (frame) => {
      if (frame.error || frame.commitResult?.error || frame.targetChange?.cause) reject(new Error(JSON.stringify(frame)));
      else if (done(frame)) resolve();
    };
    for (const frame of frames) socket.send(JSON.stringify(frame));
  });
  const name = (n) => `${root}/documents/posts/${prefix}${n}`;
  const encoded = (n) => {
    const { authorId, title, content, createdAt, likes } = post(n);
    return {
      authorId: { stringValue: authorId }, title: { stringValue: title }, content: { stringValue: content },
      createdAt: { timestampValue: createdAt.toISOString() }, likes: { integerValue: `${likes}` },
    };
  };
  const commit = (n, fields, updateMask) => ({
    commit: { requestId: n, writes: [{ update: { name: name(updateMask ? 20 : n), fields }, ...(updateMask && { updateMask }) }] },
  });
  await timed('create', (n) => until((frame) => frame.commitResult?.requestId === n, commit(n, encoded(n))));
  let target = 0;
  const once = async (what) => {
    target += 1;
    await until((frame) => frame.targetChange?.readTime && !frame.targetChange.targetIds, {
      addTarget: { targetId: target, ...what },
    });
    await until((frame) => frame.targetChange?.targetChangeType === 'REMOVE', { removeTarget: target });
  };
  await timed('get', (n) => once({ documents: { documents: [name(n)] } }));
  await timed('query', () => once({
    query: {
      parent: `${root}/documents`,
      structuredQuery: {
        from: [{ collectionId: 'posts' }], limit: 20,
        where: { fieldFilter: { field: { fieldPath: 'authorId' }, op: 'EQUAL', value: { stringValue: user.uid } } },
        orderBy: [{ field: { fieldPath: 'createdAt' }, direction: 'DESCENDING' }],
      },
    },
  }));
  target += 1;
  await until((frame) => frame.targetChange?.readTime && !frame.targetChange.targetIds, {
    addTarget: { targetId: target, documents: { documents: [name(20)] } },
  });
  await timed('listen', (n) => until(
    (frame) => frame.documentChange?.document.fields.likes.integerValue === `${-n}`,
    commit(n, { likes: { integerValue: `${-n}` } }, { fieldPaths: ['likes'] }),
  ));
  socket.close();
}

if (options.kind === 'grpc') await withSdk(require('firebase/firestore'));
else if (options.kind === 'rest') await withSdk(require('firebase/firestore/lite'));
else await withWebSocket();
process.exit(0);
