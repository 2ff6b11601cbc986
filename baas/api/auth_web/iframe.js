// The frame that the web SDK keeps in an app's page. It passes what the handler page says on to the app,
// and only to the origin that the server has found fit for it.
'use strict';

(() => {
  const query = new URLSearchParams(window.location.search);
  const [apiKey, appName] = [query.get('apiKey'), query.get('appName')];
  const key = `homefire:auth:event:${apiKey}:${appName}`;
  const nothing = {
    type: 'unknown', eventId: null, urlResponse: null, sessionId: null, postBody: null, tenantId: null,
    error: { code: 'auth/no-auth-event', message: 'There is no sign-in to go on with.' },
  };
  let told = false;

  function hasStorage() {
    try {
      return Boolean(window.sessionStorage);
    } catch {
      return false; // the browser forbids it to foreign frames
    }
  }

  /** What a redirect left for this app, once. */
  function left() {
    const text = hasStorage() ? sessionStorage.getItem(key) : null;
    if (text !== null) sessionStorage.removeItem(key);
    return JSON.parse(text);
  }

  window.addEventListener('message', ({ data, origin, source }) => {
    if (origin === window.location.origin && data?.homefire === 'event') {
      if (data.apiKey !== apiKey || data.appName !== appName) return;
      window.parent.postMessage({ homefire: 'event', event: data.event }, data.target);
    } else if (source === window.parent && data?.homefire === 'call') {
      const answer = data.name === 'webStorageSupport' ? [{ webStorageSupport: hasStorage() }] : null;
      window.parent.postMessage({ homefire: 'answer', id: data.id, answer }, origin);
      if (told) return;
      told = true;
      const { event, target } = left() ?? { event: nothing, target: origin };
      window.parent.postMessage({ homefire: 'event', event }, target);
    }
  });
})();
