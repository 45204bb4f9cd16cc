'use strict';
// GET / answers "Hello, World!" with Node's standard library alone; everything else is 404. WORKERS > 1 makes a cluster
// of that many processes; with one core a second process would only add switching, so the default is a single process.

const cluster = require('node:cluster');
const http = require('node:http');

const BODY = Buffer.from('Hello, World!');
const NOT_FOUND = Buffer.from('Not Found');
const NOTHING = Buffer.alloc(0);
// Longer than the idle timeout of the usual gateways, so that the gateway and not the server ends an idle connection:
// Node's default of 5 s can meet the next request half way.
const IDLE_TIMEOUT_MS = 75_000;

function number(name, fallback) {
  const text = process.env[name];
  if (text === undefined) return fallback;
  if (!/^[0-9]+$/.test(text)) throw new Error(`${name} must be a whole number, not ${JSON.stringify(text)}`);
  return Number(text);
}

function answer(response, status, body, headers = {}) {
  // Node leaves the body out of the answer to HEAD and reads away the body of a request that nobody read.
  response.writeHead(status, { 'Content-Type': 'text/plain', 'Content-Length': body.length, ...headers });
  response.end(body);
}

function serve() {
  // From SIGTERM on every reply says "Connection: close", so that clients leave before the listener does.
  let draining = false;
  const server = http.createServer({ noDelay: true, keepAliveTimeout: IDLE_TIMEOUT_MS }, (request, response) => {
    if (draining) response.setHeader('Connection', 'close');
    if (request.url !== '/' && !request.url.startsWith('/?')) answer(response, 404, NOT_FOUND);
    else if (request.method === 'GET' || request.method === 'HEAD') answer(response, 200, BODY);
    else answer(response, 405, NOTHING, { Allow: 'GET, HEAD' });
  });
  server.listen(number('PORT', 8080));
  // close() stops accepting and closes idle connections; its callback runs when the requests in flight are answered.
  const stop = () => server.close(() => process.exit(0));
  process.once('SIGTERM', () => {
    draining = true;
    setTimeout(stop, number('DRAIN_SECONDS', 3) * 1000);
  });
  process.once('SIGINT', stop);
}

function supervise(count) {
  let stopping = false;
  for (let i = 0; i < count; i += 1) cluster.fork();
  cluster.on('exit', () => {
    if (!stopping) cluster.fork();
    else if (Object.keys(cluster.workers).length === 0) process.exit(0);
  });
  // Kubernetes signals process 1 only: the workers are told by us.
  for (const signal of ['SIGTERM', 'SIGINT']) {
    process.once(signal, () => {
      stopping = true;
      for (const worker of Object.values(cluster.workers)) worker.process.kill(signal);
    });
  }
}

const workers = number('WORKERS', 1);
if (workers > 1 && cluster.isPrimary) supervise(workers);
else serve();
