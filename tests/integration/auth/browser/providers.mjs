// The web SDK's popups and redirects in Chromium, against a server and an OpenID provider that are told by
// environment variables. Prints one line: RESULT and what happened, scenario by scenario.
import { createServer } from 'node:http';
import { bundle, launch } from './chromium.mjs';

const server = process.env.HOMEFIRE_URL;
const development = process.env.HOMEFIRE_DEVELOPMENT_URL;
const script = await bundle('page.mjs');
const app = createServer((request, response) => {
  const isScript = request.url.startsWith('/page.js');
  const embedded = new URL(request.url, 'http://x').searchParams.get('server') ?? server;
  response.setHeader('content-type', isScript ? 'text/javascript; charset=utf-8' : 'text/html; charset=utf-8');
  response.end(isScript ? script : `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><script src="${embedded}/__/auth/embed.js"></script><body><script type="module" src="/page.js"></script>`);
});
await new Promise((resolve) => { app.listen(0, '127.0.0.1', resolve); });
const origin = `http://127.0.0.1:${app.address().port}/`;
const browser = await launch();
const foreign = new Set();

async function open(url = server) {
  const context = await browser.newContext();
  await context.route((url) => !['127.0.0.1', 'localhost'].includes(url.hostname), (route) => {
    foreign.add(new URL(route.request().url()).hostname);
    return route.abort();
  });
  const page = await context.newPage();
  await page.goto(`${origin}?server=${encodeURIComponent(url)}`);
  await prepare(page, url);
  return page;
}

async function prepare(page, url = server) {
  await page.waitForFunction('window.ready');
  await page.evaluate((address) => {
    const own = app.initializeApp({ projectId: 'homefire', apiKey: 'key', authDomain: new URL(address).host });
    window.users = auth.getAuth(own);
    auth.connectAuthEmulator(window.users, address, { disableWarnings: true });
    window.tell = (done) => done.then(
      (found) => found && { email: found.user.email, provider: found.providerId, operation: found.operationType, isNew: auth.getAdditionalUserInfo(found).isNewUser, uid: found.user.uid },
      (error) => ({ error: error.code, message: error.message }),
    );
  }, url);
}

/** Begin in the app; act in the popup; answer what the app was told. */
async function popup(page, what, act, provider = 'oidc.acme') {
  await page.waitForFunction('users.authStateReady()');
  const opened = page.waitForEvent('popup');
  const outcome = page.evaluate(([name, id]) => {
    const chosen = new auth.OAuthProvider(id);
    chosen.setCustomParameters({ login_hint: 'ada', client_id: 'evil' });
    return tell(auth[name](name === 'signInWithPopup' ? users : users.currentUser, chosen));
  }, [what, provider]);
  await act(await opened);
  return outcome;
}

const authorize = (subject) => async (page) => {
  await page.fill('input[name=sub]', subject);
  await page.click('button:has-text("Authorize")');
};

const scenarios = {
  async popup() {
    const page = await open();
    return [await popup(page, 'signInWithPopup', authorize('ada@example.com')), await popup(page, 'signInWithPopup', authorize('ada@example.com'))];
  },
  async linking() {
    const page = await open();
    const uid = await page.evaluate(async () => (await auth.signInAnonymously(users)).user.uid);
    const linked = await popup(page, 'linkWithPopup', authorize('bob@example.com'));
    return { ...linked, uid: linked.uid === uid };
  },
  async again() {
    const page = await open();
    await popup(page, 'signInWithPopup', authorize('eve@example.com'));
    const same = await popup(page, 'reauthenticateWithPopup', authorize('eve@example.com'));
    return [same, await popup(page, 'reauthenticateWithPopup', authorize('mallory@example.com'))];
  },
  async linkedByRedirect() {
    const page = await open();
    const uid = await page.evaluate(async () => (await auth.signInAnonymously(users)).user.uid);
    await page.evaluate(() => { auth.linkWithRedirect(users.currentUser, new auth.OAuthProvider('oidc.acme')); });
    await page.waitForURL(/oauth2\/authorize/);
    await authorize('dan@example.com')(page);
    await page.waitForURL((url) => url.href.startsWith(origin));
    await prepare(page);
    const linked = await page.evaluate(() => tell(auth.getRedirectResult(users)));
    return { ...linked, uid: linked.uid === uid };
  },
  async denied() {
    return popup(await open(), 'signInWithPopup', (page) => page.click('button:has-text("Deny")'));
  },
  async redirect() {
    const page = await open();
    await page.evaluate(() => { auth.signInWithRedirect(users, new auth.OAuthProvider('oidc.acme')); });
    await page.waitForURL(/oauth2\/authorize/);
    await authorize('cyd@example.com')(page);
    await page.waitForURL((url) => url.href.startsWith(origin));
    await prepare(page);
    const first = await page.evaluate(() => tell(auth.getRedirectResult(users)));
    await page.reload();
    await prepare(page);
    return [first, await page.evaluate(() => tell(auth.getRedirectResult(users)))];
  },
  async unknown() {
    return popup(await open(), 'signInWithPopup', async () => {}, 'oidc.nobody');
  },
  async forged() {
    const page = await (await browser.newContext()).newPage();
    await page.goto(`${server}/__/auth/handler?code=stolen&state=forged`);
    await page.waitForFunction(() => document.getElementById('words').textContent);
    return page.textContent('#words');
  },
  async development() {
    const page = await open(development);
    const act = async (opened) => {
      await opened.fill('input[name=email]', 'dev@example.com');
      await opened.click('button:has-text("new user")');
    };
    const first = await popup(page, 'signInWithPopup', act, 'google.com');
    await page.evaluate(() => auth.signOut(users));
    const again = await popup(page, 'signInWithPopup', (opened) => opened.click('button:has-text("dev@example.com")'), 'google.com');
    return [first, { ...again, uid: again.uid === first.uid }];
  },
};

const results = {};
for (const [name, run] of Object.entries(scenarios)) {
  const late = new Promise((_, reject) => { setTimeout(() => reject(new Error('not done after 25 s')), 25_000).unref(); });
  results[name] = await Promise.race([run(), late]).catch((error) => ({ failed: String(error) }));
}
results.foreign = [...foreign];
console.log(`RESULT ${JSON.stringify(results)}`);
await browser.close();
process.exit(0);
