// npm `firebase-admin`: auth and storage.
import { initializeApp } from 'firebase-admin/app';
import { getAuth } from 'firebase-admin/auth';
import { getDownloadURL, getStorage } from 'firebase-admin/storage';
import { initializeApp as initializeClient } from 'firebase/app';
import { connectAuthEmulator, getAuth as getClientAuth, signInWithCustomToken, signInWithEmailAndPassword } from 'firebase/auth';
import { assert, codeOf, run, server, test, unique } from './harness.mjs';

const PROJECT = process.env.HOMEFIRE_PROJECT ?? 'homefire';
const app = initializeApp({ projectId: PROJECT, storageBucket: 'demo.appspot.com' });
const auth = getAuth(app);
const bucket = getStorage(app).bucket();
const email = () => `${unique('user')}@example.com`;

function client() {
  const own = getClientAuth(initializeClient({ projectId: PROJECT, apiKey: 'fake-key' }, unique('client')));
  connectAuthEmulator(own, server.origin, { disableWarnings: true });
  return own;
}

test('admin auth: users are created, found, changed and deleted', async () => {
  const address = email();
  const user = await auth.createUser({ email: address, password: 'secret-1', displayName: 'Ada', phoneNumber: `+1555${String(Date.now()).slice(-7)}` });
  assert.equal((await auth.getUser(user.uid)).displayName, 'Ada');
  assert.equal((await auth.getUserByEmail(address)).uid, user.uid);
  assert.equal((await auth.getUserByPhoneNumber(user.phoneNumber)).uid, user.uid);
  await auth.updateUser(user.uid, { displayName: null, emailVerified: true });
  const changed = await auth.getUser(user.uid);
  assert.equal(changed.displayName ?? null, null);
  assert.equal(changed.emailVerified, true);
  await auth.deleteUser(user.uid);
  assert.equal(await codeOf(auth.getUser(user.uid)), 'auth/user-not-found');
});

test('admin auth: many users at once', async () => {
  const users = await Promise.all([1, 2, 3].map(() => auth.createUser({ email: email() })));
  const found = await auth.getUsers([{ uid: users[0].uid }, { email: users[1].email }, { uid: 'nobody' }]);
  assert.equal(found.users.length, 2);
  assert.equal(found.notFound.length, 1);
  const page = await auth.listUsers(2);
  assert.equal(page.users.length, 2);
  assert.ok(page.pageToken);
  const result = await auth.deleteUsers(users.map((each) => each.uid));
  assert.equal(result.successCount, 3);
});

test('admin auth: a custom token signs in and its ID token is verified', async () => {
  const uid = unique('custom');
  const token = await auth.createCustomToken(uid, { level: 3 });
  const { user } = await signInWithCustomToken(client(), token);
  const decoded = await auth.verifyIdToken(await user.getIdToken());
  assert.equal(decoded.uid, uid);
  assert.equal(decoded.level, 3);
});

test('admin auth: custom claims come with the next token', async () => {
  const address = email();
  const { uid } = await auth.createUser({ email: address, password: 'secret-1' });
  const { user } = await signInWithEmailAndPassword(client(), address, 'secret-1');
  await auth.setCustomUserClaims(uid, { admin: true });
  const decoded = await auth.verifyIdToken(await user.getIdToken(true));
  assert.equal(decoded.admin, true);
});

test('admin auth: revoked tokens are recognised', async () => {
  const address = email();
  const { uid } = await auth.createUser({ email: address, password: 'secret-1' });
  const { user } = await signInWithEmailAndPassword(client(), address, 'secret-1');
  const token = await user.getIdToken();
  await new Promise((resolve) => { setTimeout(resolve, 1100); });
  await auth.revokeRefreshTokens(uid);
  assert.equal(await codeOf(auth.verifyIdToken(token, true)), 'auth/id-token-revoked');
});

test('admin auth: links for emails', async () => {
  const address = email();
  await auth.createUser({ email: address, password: 'secret-1' });
  for (const link of [await auth.generatePasswordResetLink(address), await auth.generateEmailVerificationLink(address)]) {
    assert.match(link, /oobCode=/);
  }
});

test('admin auth: users with foreign password hashes are imported', async () => {
  const address = email();
  const { createHmac } = await import('node:crypto');
  const key = Buffer.from('key');
  const passwordHash = createHmac('sha256', key).update('imported!').digest();
  const result = await auth.importUsers([{ uid: unique('imported'), email: address, passwordHash }], { hash: { algorithm: 'HMAC_SHA256', key } });
  assert.equal(result.failureCount, 0);
});

test('admin auth: session cookies are made and verified', async () => {
  const { user } = await signInWithCustomToken(client(), await auth.createCustomToken(unique('cookie')));
  const cookie = await auth.createSessionCookie(await user.getIdToken(), { expiresIn: 3_600_000 });
  assert.equal((await auth.verifySessionCookie(cookie)).uid, user.uid);
});

test('admin auth: links to sign in by email and to change an address', async () => {
  const user = await auth.createUser({ email: `${unique('u')}@example.com` });
  const settings = { url: 'https://app.example/finish', handleCodeInApp: true };
  const signIn = new URL(await auth.generateSignInWithEmailLink(user.email, settings));
  assert.equal(signIn.searchParams.get('mode'), 'signIn');
  const change = new URL(await auth.generateVerifyAndChangeEmailLink(user.email, `${unique('n')}@example.com`));
  assert.equal(change.searchParams.get('mode'), 'verifyAndChangeEmail');
});

test('admin auth: a user is found by the provider that knows them', async () => {
  const uid = unique('u');
  const provider = { providerId: 'google.com', uid: unique('google') };
  await auth.importUsers([{ uid, email: `${uid}@example.com`, providerData: [provider] }]);
  assert.equal((await auth.getUserByProviderUid(provider.providerId, provider.uid)).uid, uid);
});

test('admin auth: OpenID Connect providers are configured', async () => {
  const providerId = `oidc.${unique('p').toLowerCase()}`;
  const config = { providerId, displayName: 'Ours', enabled: true, clientId: 'client', issuer: 'https://issuer.example' };
  assert.equal((await auth.createProviderConfig(config)).issuer, config.issuer);
  await auth.updateProviderConfig(providerId, { displayName: 'Theirs' });
  assert.equal((await auth.getProviderConfig(providerId)).displayName, 'Theirs');
  const { providerConfigs } = await auth.listProviderConfigs({ type: 'oidc' });
  assert.ok(providerConfigs.some((each) => each.providerId === providerId));
  await auth.deleteProviderConfig(providerId);
  await assert.rejects(auth.getProviderConfig(providerId), { code: 'auth/configuration-not-found' });
});

test('admin auth: tenants have users of their own', async () => {
  const tenants = auth.tenantManager();
  const { tenantId } = await tenants.createTenant({ displayName: 'one-tenant', emailSignInConfig: { enabled: true, passwordRequired: true } });
  await tenants.updateTenant(tenantId, { displayName: 'same-tenant' });
  assert.equal((await tenants.getTenant(tenantId)).displayName, 'same-tenant');
  assert.ok((await tenants.listTenants()).tenants.some((each) => each.tenantId === tenantId));
  const user = await tenants.authForTenant(tenantId).createUser({ email: `${unique('u')}@example.com` });
  assert.equal(user.tenantId, tenantId);
  await assert.rejects(auth.getUser(user.uid), { code: 'auth/user-not-found' });
  await tenants.deleteTenant(tenantId);
  assert.ok(!(await tenants.listTenants()).tenants.some((each) => each.tenantId === tenantId));
});

test('admin auth: the configuration of a project is read and changed', async () => {
  const configs = auth.projectConfigManager();
  const updated = await configs.updateProjectConfig({ passwordPolicyConfig: { enforcementState: 'ENFORCE', constraints: { minLength: 8 } } });
  assert.equal(updated.passwordPolicyConfig.constraints.minLength, 8);
  assert.equal((await configs.getProjectConfig()).passwordPolicyConfig.enforcementState, 'ENFORCE');
  await configs.updateProjectConfig({ passwordPolicyConfig: { enforcementState: 'OFF' } });
});

test('admin storage: files are saved, read, listed, copied and deleted', async () => {
  const folder = unique('admin');
  const file = bucket.file(`${folder}/a.txt`);
  await file.save('hello', { contentType: 'text/plain', resumable: false, metadata: { metadata: { k: 'v' } } });
  assert.equal(String((await file.download())[0]), 'hello');
  assert.equal((await file.exists())[0], true);
  await file.setMetadata({ cacheControl: 'no-cache' });
  assert.equal((await file.getMetadata())[0].cacheControl, 'no-cache');
  await file.copy(bucket.file(`${folder}/b.txt`));
  assert.deepEqual((await bucket.getFiles({ prefix: folder }))[0].map((each) => each.name), [`${folder}/a.txt`, `${folder}/b.txt`]);
  await file.delete();
  assert.equal((await file.exists())[0], false);
});

test('admin storage: a resumable upload by stream', async () => {
  const file = bucket.file(`${unique('admin')}/big`);
  await file.save(Buffer.alloc(600_000, 7), { resumable: true });
  assert.equal((await file.download())[0].length, 600_000);
});

test('admin storage: a download URL opens without credentials', async () => {
  const file = bucket.file(`${unique('f')}.txt`);
  await file.save('for all who have the address');
  const answer = await fetch(await getDownloadURL(file));
  assert.equal(await answer.text(), 'for all who have the address');
});

await run();
