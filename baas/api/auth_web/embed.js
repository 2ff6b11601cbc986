// For the page of an app, before the web SDK: what of `gapi.iframes` the SDK uses to talk to this server's
// frame. The SDK takes it instead of loading Google's.
'use strict';

(() => {
  if (window.gapi?.iframes?.Iframe) return;

  class Iframe {
    constructor(element) {
      this.element = element;
      this.origin = new URL(element.src).origin;
      this.calls = new Map();
      this.handlers = new Map();
      this.early = [];
      window.addEventListener('message', (message) => this.take(message));
    }

    take({ data, origin, source }) {
      if (source !== this.element.contentWindow || origin !== this.origin) return;
      if (data?.homefire === 'answer') {
        this.calls.get(data.id)?.(data.answer);
        this.calls.delete(data.id);
      } else if (data?.homefire === 'event') {
        this.early.push({ authEvent: data.event });
        this.flush();
      }
    }

    flush() {
      const handler = this.handlers.get('authEvent');
      while (handler && this.early.length) handler(this.early.shift());
    }

    call(name) {
      const id = crypto.getRandomValues(new Uint32Array(2)).join('');
      return new Promise((resolve) => {
        this.calls.set(id, resolve);
        this.element.contentWindow.postMessage({ homefire: 'call', id, name }, this.origin);
      });
    }

    restyle() { return Promise.resolve(); }

    ping(callback) { return this.call('ping').then(callback); }

    register(name, handler) {
      this.handlers.set(name, handler);
      this.flush();
    }

    send(name, message, callback) {
      // The SDK's callback throws after every answer, whatever it is: that is nobody's business.
      this.call(name).then(callback).catch(() => {});
    }
  }

  function open({ where, url, attributes = {} }, opened) {
    const element = document.createElement('iframe');
    for (const [name, value] of Object.entries(attributes)) {
      if (name === 'style') Object.assign(element.style, value);
      else element.setAttribute(name, value);
    }
    element.src = url;
    return new Promise((resolve, reject) => {
      element.addEventListener('load', () => resolve(opened(new Iframe(element))), { once: true });
      element.addEventListener('error', reject, { once: true });
      where.append(element);
    });
  }

  window.gapi = { ...window.gapi, iframes: { Iframe, CROSS_ORIGIN_IFRAMES_FILTER: 'any', getContext: () => ({ open }) } };
})();
