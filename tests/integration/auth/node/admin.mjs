// firebase-admin with a service account's key, against a server in production mode: an agent connects to it
// whenever the SDK names one of Google's hosts, and checks its certificate under its own name. Access tokens
// are got from the address that the key file names; the SDK's own way asks Google's, past every agent.
import { createSign } from 'node:crypto';
import https from 'node:https';
import { readFileSync } from 'node:fs';
import { cert, initializeApp } from 'firebase-admin/app';
import { getAuth } from 'firebase-admin/auth';

class HomefireAgent extends https.Agent {
  constructor(address) {
    super();
    this.to = new URL(address);
  }

  createConnection(options, done) {
    const { hostname, port } = this.to;
    return super.createConnection({ ...options, host: hostname, port: port || 443, servername: hostname }, done);
  }
}

/** The SDK's credential of a key file (it signs custom tokens with it), with access tokens of our server. */
function homefireCert(key) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const getAccessToken = async () => {
    const iat = Math.floor(Date.now() / 1000);
    const claims = { iss: key.client_email, sub: key.client_email, aud: key.token_uri, iat, exp: iat + 600 };
    const text = `${part({ alg: 'RS256', typ: 'JWT', kid: key.private_key_id })}.${part(claims)}`;
    const signature = createSign('RSA-SHA256').update(text).sign(key.private_key, 'base64url');
    const body = new URLSearchParams({ grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion: `${text}.${signature}` });
    const answer = await fetch(key.token_uri, { method: 'POST', body });
    if (!answer.ok) throw new Error(`no access token: ${answer.status} ${await answer.text()}`);
    return answer.json();
  };
  return Object.assign(cert(key), { getAccessToken });
}

const address = process.env.HOMEFIRE_URL;
const key = JSON.parse(readFileSync(process.env.HOMEFIRE_KEY, 'utf8'));
const httpAgent = new HomefireAgent(address);
const auth = getAuth(initializeApp({ credential: homefireCert(key), httpAgent }));

const user = await auth.createUser({ email: 'ada@example.com', password: 'correct horse' });
await auth.setCustomUserClaims(user.uid, { admin: true });
const answer = await fetch(`${address}/v1/accounts:signInWithCustomToken?key=any`, {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ token: await auth.createCustomToken(user.uid, { x: 1 }), returnSecureToken: true }),
});
const { idToken } = await answer.json();
const claims = await auth.verifyIdToken(idToken, true);
const cookie = await auth.createSessionCookie(idToken, { expiresIn: 3_600_000 });
const fromCookie = await auth.verifySessionCookie(cookie, true);
const link = await auth.generatePasswordResetLink('ada@example.com');
const listed = (await auth.listUsers()).users.map((each) => each.uid);
await auth.revokeRefreshTokens(user.uid);
const forged = await auth.verifyIdToken(`${idToken.slice(0, -4)}AAAA`).then(() => 'taken', (error) => error.code);
await auth.deleteUser(user.uid);
const gone = await auth.getUser(user.uid).then(() => 'there', (error) => error.code);
console.log(`RESULT ${JSON.stringify({
  claims: [claims.uid === user.uid, claims.admin, claims.x], cookie: fromCookie.uid === user.uid,
  link: link.startsWith(`${address}/__/auth/action?`), listed: listed.length, forged, gone,
})}`);
process.exit(0);
