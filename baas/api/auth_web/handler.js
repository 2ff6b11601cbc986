// The page to which the web SDK sends a popup (or the whole tab) to sign in with a provider. It comes twice:
// first to go on to the provider, then with the provider's answer, which it hands over to the app.
'use strict';

(() => {
  const KEY = 'homefire:auth:';
  const data = JSON.parse(document.getElementById('data').textContent);

  const say = (words) => { document.getElementById('words').textContent = words; };

  /** Hand the outcome over to the app that asked: `call` is what it asked, checked by the server. */
  function deliver(call, outcome) {
    const event = {
      type: call.authType, eventId: call.eventId, tenantId: call.tenantId || null,
      urlResponse: null, sessionId: null, postBody: null, error: null, ...outcome,
    };
    if (call.authType.endsWith('ViaRedirect')) {
      sessionStorage.setItem(`${KEY}event:${call.apiKey}:${call.appName}`, JSON.stringify({ event, target: call.target }));
      window.location.replace(call.redirectUrl);
      return;
    }
    if (!window.opener) {
      say('The window that began this sign-in is gone. Close this one and try again.');
      return;
    }
    // Our frame in the app's page passes it on; no other window's origin fits, so no other gets it.
    const message = { homefire: 'event', apiKey: call.apiKey, appName: call.appName, target: call.target, event };
    for (let i = 0; i < window.opener.frames.length; i += 1) window.opener.frames[i].postMessage(message, window.location.origin);
    say('You can close this window.');
  }

  function begin({ call, authUri, sessionId, origin }) {
    if (window.location.origin !== origin) {
      say(`This server is ${origin}: the app must name it so.`);
      return;
    }
    const state = new URL(authUri).searchParams.get('state');
    sessionStorage.setItem(`${KEY}round:${state}`, JSON.stringify({ call, sessionId }));
    sessionStorage.setItem(`${KEY}last`, state);
    window.location.replace(authUri);
  }

  function finish({ postBody }) {
    const answer = new URLSearchParams(postBody || window.location.search);
    // Some providers forget the state when they refuse; a refusal alone may do without.
    const state = answer.get('state') ?? (answer.has('code') ? null : sessionStorage.getItem(`${KEY}last`));
    const key = `${KEY}round:${state}`;
    const round = JSON.parse(sessionStorage.getItem(key));
    sessionStorage.removeItem(key);
    if (!round) {
      say('This sign-in was not begun in this window, or is over. Go back to the app and try again.');
    } else if (answer.has('code')) {
      deliver(round.call, { urlResponse: window.location.href, sessionId: round.sessionId, postBody: postBody || null });
    } else {
      const code = answer.get('error') === 'access_denied' ? 'auth/user-cancelled' : 'auth/internal-error';
      deliver(round.call, { error: { code, message: answer.get('error') || 'no code' } });
    }
  }

  /** Development mode: made-up users instead of a provider. */
  function pick({ call, users }) {
    const take = (user) => deliver(call, {
      urlResponse: window.location.origin + window.location.pathname,
      sessionId: 'development',
      postBody: new URLSearchParams({ providerId: call.providerId, id_token: JSON.stringify({ ...user, email_verified: true }) }).toString(),
    });
    const form = document.getElementById('new');
    for (const user of users) {
      const button = document.createElement('button');
      button.textContent = user.email || user.name || user.sub;
      button.addEventListener('click', () => take(user));
      form.before(button);
    }
    form.addEventListener('submit', (submitted) => {
      submitted.preventDefault();
      const { email, name } = form.elements;
      const sub = crypto.getRandomValues(new Uint32Array(3)).join('');
      take({ sub, email: email.value, ...(name.value ? { name: name.value } : {}) });
    });
  }

  const steps = { begin, finish, pick, refuse: ({ call, error }) => deliver(call, { error }) };
  steps[data.step](data);
})();
