// npm `firebase/auth` in Node.
import { createHmac } from 'node:crypto';
import { initializeApp } from 'firebase/app';
import {
  EmailAuthProvider, GoogleAuthProvider, TotpMultiFactorGenerator, applyActionCode, checkActionCode, confirmPasswordReset, connectAuthEmulator,
  createUserWithEmailAndPassword, deleteUser, fetchSignInMethodsForEmail, getAdditionalUserInfo, getAuth, getIdToken,
  getIdTokenResult, getMultiFactorResolver, isSignInWithEmailLink, linkWithCredential, multiFactor, onAuthStateChanged, onIdTokenChanged,
  reauthenticateWithCredential, reload, sendEmailVerification, sendPasswordResetEmail, sendSignInLinkToEmail,
  signInAnonymously, signInWithCredential, signInWithCustomToken, signInWithEmailAndPassword, signInWithEmailLink,
  signOut, unlink, updateCurrentUser, updateEmail, updatePassword, updateProfile, validatePassword,
  verifyBeforeUpdateEmail, verifyPasswordResetCode,
} from 'firebase/auth';
import { assert, codeOf, collector, run, server, test, unique } from './harness.mjs';

const PROJECT = 'demo-auth';

function client() {
  const auth = getAuth(initializeApp({ projectId: PROJECT, apiKey: 'fake-key' }, unique('auth')));
  connectAuthEmulator(auth, server.origin, { disableWarnings: true });
  return auth;
}
const email = () => `${unique('user')}@example.com`;
const PASSWORD = 'correct horse';

// The key names no project: accounts belong to the default one.
async function project() {
  const config = await fetch(new URL('/identitytoolkit.googleapis.com/v1/projects?key=fake-key', server));
  return (await config.json()).projectId;
}

/** Protection against probing for addresses, on by default: with it an address must be verified to be taken on. */
async function emailPrivacy(enableImprovedEmailPrivacy) {
  const response = await fetch(new URL(`/emulator/v1/projects/${await project()}/config`, server), {
    method: 'PATCH', headers: { authorization: 'Bearer owner' }, body: JSON.stringify({ emailPrivacyConfig: { enableImprovedEmailPrivacy } }),
  });
  assert.ok(response.ok, await response.text());
}

async function oobCodes() {
  const projectId = await project();
  const response = await fetch(new URL(`/emulator/v1/projects/${projectId}/oobCodes`, server), { headers: { authorization: 'Bearer owner' } });
  return (await response.json()).oobCodes;
}

async function codeFor(address, requestType) {
  const found = (await oobCodes()).filter((each) => each.email === address && each.requestType === requestType);
  assert.ok(found.length, `a ${requestType} code for ${address}`);
  return found.at(-1);
}

test('auth: an account is created, signed out and signed in', async () => {
  const auth = client();
  const address = email();
  const { user } = await createUserWithEmailAndPassword(auth, address, PASSWORD);
  assert.equal(user.email, address);
  assert.equal(user.emailVerified, false);
  await signOut(auth);
  assert.equal(auth.currentUser, null);
  const again = await signInWithEmailAndPassword(auth, address, PASSWORD);
  assert.equal(again.user.uid, user.uid);
});

test('auth: listeners hear of sign-in and sign-out', async () => {
  const auth = client();
  const [states, tokens] = [collector(), collector()];
  onAuthStateChanged(auth, (user) => states.next(user ? user.uid : 'nobody'));
  onIdTokenChanged(auth, (user) => tokens.next(user ? 'token' : 'none'));
  await states.until((value) => value === 'nobody');
  const { user } = await signInAnonymously(auth);
  await states.until((value) => value === user.uid);
  await tokens.until((value) => value === 'token');
  await signOut(auth);
  await states.until((value) => value === 'nobody' && states.values.length > 2);
});

test('auth: errors have the codes of Firebase', async () => {
  const auth = client();
  const address = email();
  await createUserWithEmailAndPassword(auth, address, PASSWORD);
  assert.equal(await codeOf(createUserWithEmailAndPassword(auth, address, PASSWORD)), 'auth/email-already-in-use');
  assert.equal(await codeOf(createUserWithEmailAndPassword(auth, email(), '123')), 'auth/weak-password');
  assert.equal(await codeOf(createUserWithEmailAndPassword(auth, 'nonsense', PASSWORD)), 'auth/invalid-email');
  assert.match(await codeOf(signInWithEmailAndPassword(auth, address, 'wrong one')), /auth\/(wrong-password|invalid-credential)/);
  assert.match(await codeOf(signInWithEmailAndPassword(auth, email(), PASSWORD)), /auth\/(user-not-found|invalid-credential)/);
});

test('auth: profile, password and email are changed', async () => {
  const auth = client();
  const address = email();
  const { user } = await createUserWithEmailAndPassword(auth, address, PASSWORD);
  await updateProfile(user, { displayName: 'Ada', photoURL: 'https://example.com/a.png' });
  await updatePassword(user, 'another secret');
  await reload(user);
  assert.deepEqual([user.displayName, user.photoURL], ['Ada', 'https://example.com/a.png']);
  const other = email();
  assert.equal(await codeOf(updateEmail(user, other)), 'auth/operation-not-allowed');
  await emailPrivacy(false);
  await updateEmail(user, other);
  await emailPrivacy(true);
  await signOut(auth);
  const again = await signInWithEmailAndPassword(auth, other, 'another secret');
  assert.equal(again.user.displayName, 'Ada');
});

test('auth: ID tokens are refreshed and tell their claims', async () => {
  const auth = client();
  const { user } = await createUserWithEmailAndPassword(auth, email(), PASSWORD);
  const first = await getIdToken(user);
  const forced = await getIdToken(user, true);
  assert.ok(first && forced);
  const result = await getIdTokenResult(user);
  assert.equal(result.claims.user_id, user.uid);
  assert.equal(result.signInProvider, 'password');
  assert.ok(Date.parse(result.expirationTime) > Date.now());
});

test('auth: an anonymous account is upgraded by linking', async () => {
  const auth = client();
  const { user } = await signInAnonymously(auth);
  assert.equal(user.isAnonymous, true);
  const address = email();
  const linked = await linkWithCredential(user, EmailAuthProvider.credential(address, PASSWORD));
  assert.equal(linked.user.uid, user.uid);
  assert.equal(linked.user.isAnonymous, false);
  await reauthenticateWithCredential(linked.user, EmailAuthProvider.credential(address, PASSWORD));
});

test('auth: a provider credential signs in, and is unlinked', async () => {
  const auth = client();
  const sub = unique('google');
  const credential = GoogleAuthProvider.credential(JSON.stringify({ sub, email: email(), email_verified: true }));
  const result = await signInWithCredential(auth, credential);
  assert.equal(getAdditionalUserInfo(result).isNewUser, true);
  assert.deepEqual(result.user.providerData.map((each) => each.providerId), ['google.com']);
  await emailPrivacy(false);
  await linkWithCredential(result.user, EmailAuthProvider.credential(email(), PASSWORD));
  await emailPrivacy(true);
  await unlink(result.user, 'google.com');
  assert.deepEqual(result.user.providerData.map((each) => each.providerId), ['password']);
});

test('auth: a forgotten password is reset by a code', async () => {
  const auth = client();
  const address = email();
  await createUserWithEmailAndPassword(auth, address, PASSWORD);
  await sendPasswordResetEmail(auth, address);
  const { oobCode } = await codeFor(address, 'PASSWORD_RESET');
  assert.equal(await verifyPasswordResetCode(auth, oobCode), address);
  await confirmPasswordReset(auth, oobCode, 'a fresh one');
  await signInWithEmailAndPassword(auth, address, 'a fresh one');
  assert.equal(await codeOf(confirmPasswordReset(auth, oobCode, 'once more')), 'auth/invalid-action-code');
});

test('auth: an email address is verified by a code', async () => {
  const auth = client();
  const address = email();
  const { user } = await createUserWithEmailAndPassword(auth, address, PASSWORD);
  await sendEmailVerification(user);
  const { oobCode } = await codeFor(address, 'VERIFY_EMAIL');
  assert.equal((await checkActionCode(auth, oobCode)).operation, 'VERIFY_EMAIL');
  await applyActionCode(auth, oobCode);
  await reload(user);
  assert.equal(user.emailVerified, true);
});

test('auth: a link in an email signs in', async () => {
  const auth = client();
  const address = email();
  await sendSignInLinkToEmail(auth, address, { url: 'http://localhost/finish', handleCodeInApp: true });
  const { oobLink } = await codeFor(address, 'EMAIL_SIGNIN');
  assert.ok(isSignInWithEmailLink(auth, oobLink));
  const { user } = await signInWithEmailLink(auth, address, oobLink);
  assert.equal(user.emailVerified, true);
});

test('auth: an unsigned custom token signs in, in development mode', async () => {
  const auth = client();
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const uid = unique('custom');
  const now = Math.floor(Date.now() / 1000);
  const token = `${encode({ alg: 'none', typ: 'JWT' })}.${encode({
    uid, claims: { level: 7 }, iat: now, exp: now + 3600, iss: 'x@example.com', sub: 'x@example.com',
    aud: 'https://identitytoolkit.googleapis.com/google.identity.identitytoolkit.v1.IdentityToolkit',
  })}.`;
  const { user } = await signInWithCustomToken(auth, token);
  assert.equal(user.uid, uid);
  assert.equal((await getIdTokenResult(user)).claims.level, 7);
});

test('auth: a deleted account is gone', async () => {
  const auth = client();
  const address = email();
  const { user } = await createUserWithEmailAndPassword(auth, address, PASSWORD);
  await deleteUser(user);
  assert.match(await codeOf(signInWithEmailAndPassword(auth, address, PASSWORD)), /auth\/(user-not-found|invalid-credential)/);
});

test('auth: the sign-in methods of an address are told', async () => {
  const auth = client();
  const address = email();
  await createUserWithEmailAndPassword(auth, address, PASSWORD);
  const methods = await fetchSignInMethodsForEmail(auth, address);
  assert.ok(methods.length === 0 || methods.includes('password'));
});

test('auth: a new address is verified before it is taken on', async () => {
  const auth = client();
  const { user } = await createUserWithEmailAndPassword(auth, email(), PASSWORD);
  const other = email();
  await verifyBeforeUpdateEmail(user, other);
  const { oobCode } = (await oobCodes()).filter((each) => each.newEmail === other || each.email === other).at(-1);
  await applyActionCode(auth, oobCode);
  await signInWithEmailAndPassword(auth, other, PASSWORD);
});

test('auth: the current user is carried to another instance', async () => {
  const [one, two] = [client(), client()];
  const { user } = await signInAnonymously(one);
  await updateCurrentUser(two, user);
  assert.equal(two.currentUser.uid, user.uid);
});

test('auth: the password policy is told', async () => {
  const status = await validatePassword(client(), '123');
  assert.equal(status.isValid, false);
});

/** What an authenticator app shows in the time step that is `ahead` of now (RFC 6238). */
function totp(secretKey, ahead = 0) {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
  const bits = [...secretKey].map((each) => alphabet.indexOf(each).toString(2).padStart(5, '0')).join('');
  const secret = Buffer.from(bits.match(/.{8}/g).map((each) => Number.parseInt(each, 2)));
  const step = Buffer.alloc(8);
  step.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + ahead));
  const digest = createHmac('sha1', secret).update(step).digest();
  const number = digest.readUInt32BE(digest.at(-1) & 15) & 0x7fffffff;
  return String(number % 1_000_000).padStart(6, '0');
}

test('auth: an authenticator app is enrolled, asked for at sign-in, and given up', async () => {
  const auth = client();
  const address = email();
  const { user } = await createUserWithEmailAndPassword(auth, address, PASSWORD);
  await sendEmailVerification(user);
  await applyActionCode(auth, (await codeFor(address, 'VERIFY_EMAIL')).oobCode);
  const secret = await TotpMultiFactorGenerator.generateSecret(await multiFactor(user).getSession());
  assert.match(secret.generateQrCodeUrl(address, 'Homefire'), /^otpauth:\/\/totp\//);
  const wrong = TotpMultiFactorGenerator.assertionForEnrollment(secret, '000000');
  assert.equal(await codeOf(multiFactor(user).enroll(wrong, 'App')), 'auth/invalid-verification-code');
  const proof = TotpMultiFactorGenerator.assertionForEnrollment(secret, totp(secret.secretKey));
  await multiFactor(user).enroll(proof, 'App');
  assert.equal(multiFactor(user).enrolledFactors[0].displayName, 'App');
  await signOut(auth);

  const asked = await signInWithEmailAndPassword(auth, address, PASSWORD).catch((error) => error);
  assert.equal(asked.code, 'auth/multi-factor-auth-required');
  const resolver = getMultiFactorResolver(auth, asked);
  const [hint] = resolver.hints;
  assert.equal(hint.factorId, TotpMultiFactorGenerator.FACTOR_ID);
  const answer = TotpMultiFactorGenerator.assertionForSignIn(hint.uid, totp(secret.secretKey, 1));
  const signedIn = await resolver.resolveSignIn(answer);
  assert.equal((await getIdTokenResult(signedIn.user)).signInSecondFactor, 'totp');
  await multiFactor(signedIn.user).unenroll(hint.uid);
  assert.deepEqual(multiFactor(signedIn.user).enrolledFactors, []);
  await signInWithEmailAndPassword(auth, address, PASSWORD);
});

await run();
