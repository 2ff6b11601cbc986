// Without emulator mode, over TLS, against a server in production mode. Prints one JSON line.
import { readFileSync } from 'node:fs';
import { initializeApp } from 'firebase/app';
import { doc, getDoc, initializeFirestore, onSnapshot, setDoc, terminate } from 'firebase/firestore';

const host = process.env.HOMEFIRE_HOST;
const result = {};

// The web SDK in Node: gRPC over TLS.
const db = initializeFirestore(initializeApp({ projectId: 'homefire', apiKey: 'key' }), { host, ssl: true });
const reference = doc(db, 'open/x');
await setDoc(reference, { n: 1 });
result.web = (await getDoc(reference)).data();
await new Promise((resolve, reject) => { onSnapshot(reference, (snapshot) => snapshot.exists() && resolve(), reject); });
result.denied = await setDoc(doc(db, 'closed/x'), {}).then(() => 'made', (error) => error.code);
await terminate(db);

if (process.env.HOMEFIRE_KEY) {
  // The Admin SDK with a service-account key of this server.
  const { Firestore } = await import('@google-cloud/firestore');
  const grpc = (await import('@grpc/grpc-js')).default;
  const { GoogleAuth } = await import('google-auth-library');
  const key = JSON.parse(readFileSync(process.env.HOMEFIRE_KEY, 'utf8'));
  const auth = new GoogleAuth({ credentials: key, scopes: ['https://www.googleapis.com/auth/datastore'] });
  const admin = new Firestore({ projectId: 'homefire', host, ssl: true, preferRest: false, auth, sslCreds: grpc.credentials.combineChannelCredentials(
    grpc.credentials.createSsl(readFileSync(process.env.GRPC_DEFAULT_SSL_ROOTS_FILE_PATH)),
    grpc.credentials.createFromMetadataGenerator(async (_, callback) => {
      const headers = await (await auth.getClient()).getRequestHeaders();
      const metadata = new grpc.Metadata();
      metadata.add('authorization', headers.authorization ?? headers.Authorization ?? headers.get?.('authorization'));
      callback(null, metadata);
    }),
  ) });
  await admin.doc('closed/y').set({ n: 2 });
  result.admin = (await admin.doc('closed/y').get()).data();
}
console.log(`RESULT ${JSON.stringify(result)}`);
process.exit(0);
