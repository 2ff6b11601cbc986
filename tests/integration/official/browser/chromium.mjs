// A headless Chromium, a web server for its pages, and servers that can be stopped and started again.
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { mkdtempSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { build } from 'esbuild';
import { chromium } from 'playwright-core';

const here = path.dirname(new URL(import.meta.url).pathname);

export async function bundle(entry, plugins = []) {
  const built = await build({
    entryPoints: [path.join(here, entry)], bundle: true, write: false, format: 'esm', platform: 'browser',
    target: 'es2022', logLevel: 'error', plugins,
  });
  return built.outputFiles[0].text;
}

/** Serves a bundle as the only script of an empty page. */
export async function serve(script) {
  const server = createServer((request, response) => {
    const isScript = request.url.startsWith('/page.js');
    response.setHeader('content-type', isScript ? 'text/javascript; charset=utf-8' : 'text/html; charset=utf-8');
    response.end(isScript ? script : '<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><script type="module" src="/page.js"></script>');
  });
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  return `http://127.0.0.1:${server.address().port}/`;
}

export async function launch() {
  return chromium.launch({
    executablePath: process.env.HOMEFIRE_CHROMIUM ?? '/usr/bin/chromium',
    headless: true,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync'],
  });
}

export async function freePort() {
  const server = net.createServer();
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  const { port } = server.address();
  await new Promise((resolve) => { server.close(resolve); });
  return port;
}

/** A server of our own, over the same data and port every time it is started. */
export async function ownServer() {
  const port = await freePort();
  const data = mkdtempSync(path.join(tmpdir(), 'homefire-'));
  let child = null;
  process.on('exit', () => child?.kill('SIGKILL'));  // a case that fails leaves none behind
  return {
    port,
    async start() {
      child = spawn(process.env.HOMEFIRE_PYTHON, ['-m', 'baas.cli', 'serve', '--dev', '--port', String(port), '--data', data], { cwd: process.env.HOMEFIRE_ROOT });
      await new Promise((resolve, reject) => {
        let output = '';
        const read = (chunk) => { output += chunk; if (output.includes('serves on')) resolve(); };
        child.stdout.on('data', read);
        child.stderr.on('data', read);
        child.on('exit', () => reject(new Error(`the server ended: ${output}`)));
      });
    },
    async stop(signal = 'SIGTERM') {
      const ended = new Promise((resolve) => { child.removeAllListeners('exit'); child.on('exit', resolve); });
      child.kill(signal);
      await ended;
    },
  };
}
