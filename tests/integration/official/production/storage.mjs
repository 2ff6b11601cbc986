// Without emulator mode, over TLS: storage of the web SDK, and of @google-cloud/storage with a key.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { initializeApp } from 'firebase/app';
import { getBytes, getDownloadURL, getStorage, ref, uploadBytesResumable, uploadString } from 'firebase/storage';

// where firebase-admin finds it, too
const { Storage } = createRequire(createRequire(import.meta.url).resolve('firebase-admin/storage'))('@google-cloud/storage');
const host = process.env.HOMEFIRE_HOST;
const result = {};
const text = (bytes) => new TextDecoder().decode(bytes);

const storage = getStorage(initializeApp({ projectId: 'homefire', apiKey: 'key', storageBucket: 'homefire.appspot.com' }));
storage.host = host;
await uploadString(ref(storage, 'open/small'), 'from the web');
result.small = text(await getBytes(ref(storage, 'open/small')));
await uploadBytesResumable(ref(storage, 'open/large'), new Uint8Array(600_000));
result.large = (await (await fetch(await getDownloadURL(ref(storage, 'open/large')))).arrayBuffer()).byteLength;
result.denied = await uploadString(ref(storage, 'closed/x'), 'no').then(() => 'made', (error) => error.code);

// a universe of its own: else the library would ask Google for an access token, whatever the key says
const universeDomain = host.split(':')[0];
const { client_email, private_key } = JSON.parse(readFileSync(process.env.HOMEFIRE_KEY, 'utf8'));
const admin = new Storage({
  projectId: 'homefire', credentials: { client_email, private_key, universe_domain: universeDomain }, universeDomain,
  apiEndpoint: `https://${host}`, useAuthWithCustomEndpoint: true,
});
const bucket = admin.bucket('homefire.appspot.com');
await bucket.file('closed/y').save('from an admin', { resumable: false });
await bucket.file('closed/z').save(Buffer.alloc(600_000), { resumable: true });
result.admin = String((await bucket.file('closed/y').download())[0]);
result.files = (await bucket.getFiles({ prefix: 'closed/' }))[0].map((file) => file.name);
const [read] = await bucket.file('closed/y').getSignedUrl({ version: 'v4', action: 'read', expires: Date.now() + 60_000 });
result.signed = await (await fetch(read)).text();
const [write] = await bucket.file('closed/w').getSignedUrl({
  version: 'v4', action: 'write', expires: Date.now() + 60_000, contentType: 'text/plain',
});
result.written = (await fetch(write, { method: 'PUT', body: 'by address', headers: { 'Content-Type': 'text/plain' } })).status;
const anonymous = new Storage({ projectId: 'homefire', apiEndpoint: `https://${host}` });
result.anonymous = await anonymous.bucket('homefire.appspot.com').file('closed/y').download().then(() => 'read', (error) => error.code);

console.log(`RESULT ${JSON.stringify(result)}`);
process.exit(0);
