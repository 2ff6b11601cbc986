// npm `@firebase/rules-unit-testing`: host and port alone point it at the server.
import { assertFails, assertSucceeds, initializeTestEnvironment, withFunctionTriggersDisabled } from '@firebase/rules-unit-testing';
import { doc, getDoc, setDoc } from 'firebase/firestore';
import { getBytes, ref, uploadString } from 'firebase/storage';
import { assert, host, port, run, server, test, unique } from './harness.mjs';

const RULES = `rules_version = '2';
service cloud.firestore {
  match /databases/{database}/documents {
    match /users/{uid} { allow read, write: if request.auth != null && request.auth.uid == uid; }
    match /public/{id} { allow read: if true; allow write: if request.auth.token.admin == true; }
  }
}`;
const STORAGE_RULES = `rules_version = '2';
service firebase.storage {
  match /b/{bucket}/o {
    match /users/{uid}/{file} { allow read, write: if request.auth != null && request.auth.uid == uid; }
  }
}`;

function environment(options = {}) {
  return initializeTestEnvironment({ projectId: unique('rules-unit-'), firestore: { host, port, rules: RULES }, ...options });
}

test('rules-unit-testing: users may touch only their own', async () => {
  const env = await environment();
  const alice = env.authenticatedContext('alice').firestore();
  await assertSucceeds(setDoc(doc(alice, 'users/alice'), { n: 1 }));
  await assertFails(setDoc(doc(alice, 'users/bob'), { n: 1 }));
  await assertFails(getDoc(doc(env.unauthenticatedContext().firestore(), 'users/alice')));
  await env.cleanup();
});

test('rules-unit-testing: custom claims decide', async () => {
  const env = await environment();
  await assertFails(setDoc(doc(env.authenticatedContext('a').firestore(), 'public/x'), {}));
  await assertSucceeds(setDoc(doc(env.authenticatedContext('a', { admin: true }).firestore(), 'public/x'), {}));
  await env.cleanup();
});

test('rules-unit-testing: rules are lifted for preparations', async () => {
  const env = await environment();
  await env.withSecurityRulesDisabled(async (context) => {
    await setDoc(doc(context.firestore(), 'users/alice'), { n: 1 });
  });
  const snapshot = await getDoc(doc(env.authenticatedContext('alice').firestore(), 'users/alice'));
  assert.deepEqual(snapshot.data(), { n: 1 });
  await env.cleanup();
});

test('rules-unit-testing: clearFirestore leaves nothing', async () => {
  const env = await environment();
  const alice = env.authenticatedContext('alice').firestore();
  await setDoc(doc(alice, 'users/alice'), { n: 1 });
  await env.clearFirestore();
  assert.equal((await getDoc(doc(alice, 'users/alice'))).exists(), false);
  await env.cleanup();
});

test('rules-unit-testing: rules with a mistake are refused with its place', async () => {
  await assert.rejects(environment({ firestore: { host, port, rules: 'service cloud.firestore { match / ' } }), /L?\d+:?\d*|line/i);
});

test('rules-unit-testing: storage rules decide', async () => {
  const env = await initializeTestEnvironment({ projectId: unique('rules-unit-'), storage: { host, port, rules: STORAGE_RULES } });
  const alice = env.authenticatedContext('alice').storage();
  await assertSucceeds(uploadString(ref(alice, 'users/alice/a.txt'), 'hi'));
  await assertFails(uploadString(ref(alice, 'users/bob/a.txt'), 'hi'));
  await assertFails(getBytes(ref(env.unauthenticatedContext().storage(), 'users/alice/a.txt')));
  await env.clearStorage();
  await env.cleanup();
});

test('rules-unit-testing: the hub tells where everything is', async () => {
  process.env.FIREBASE_EMULATOR_HUB = server.host;
  const env = await initializeTestEnvironment({ projectId: unique('rules-unit-'), firestore: { rules: RULES } });
  assert.equal(env.emulators.firestore.port, port);
  await assertSucceeds(setDoc(doc(env.authenticatedContext('a').firestore(), 'users/a'), {}));
  await env.cleanup();
  delete process.env.FIREBASE_EMULATOR_HUB;
});

test('rules-unit-testing: the hub switches function triggers', async () => {
  assert.equal(await withFunctionTriggersDisabled({ host, port }, async () => 'done'), 'done');
});

await run();
