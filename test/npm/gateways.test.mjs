// Gateways that compress hold a stream back until a block is full, unless they are told no-transform.
// A message must come through them while the stream is open.
import assert from 'node:assert';
import { once } from 'node:events';
import http from 'node:http';
import os from 'node:os';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { server, until } from './kit.mjs';

// Reads a stream as a browser would ask for it; returns {text, end}.
function read(url) {
    const got = { text: '', encoding: undefined };
    const request = http.get(url, {
        headers: { Accept: 'text/event-stream', 'Accept-Encoding': 'gzip, deflate, br' },
    });
    request.on('error', () => {});
    request.on('response', (r) => {
        got.encoding = r.headers['content-encoding'];
        r.on('error', () => {});
        r.on('data', (d) => (got.text += d));
    });
    got.end = () => request.destroy();
    return got;
}

async function through(s, url) {
    const got = read(url);
    await until(() => got.text.includes('retry: '), 'the opening comes through');
    for (const word of ['one', 'two']) {
        await s.publish('news', word);
        await until(() => got.text.includes(`data: ${word}\n`), `"${word}" comes through`);
    }
    assert.strictEqual(got.encoding, undefined);
    got.end();
}

test('Express with compression', async (t) => {
    const { default: express } = await import('express');
    const { default: compression } = await import('compression');
    const { createProxyMiddleware } = await import('http-proxy-middleware');
    const s = await server();
    t.after(() => s.stop());
    const app = express();
    app.use(compression({ threshold: 0 }));
    app.use(createProxyMiddleware({ target: s.url }));
    const gateway = app.listen(0, '127.0.0.1');
    await once(gateway, 'listening');
    t.after(() => { gateway.closeAllConnections(); gateway.close(); });
    await through(s, `http://127.0.0.1:${gateway.address().port}/news`);
});

test("webpack's dev server", async (t) => {
    const { default: webpack } = await import('webpack');
    const { default: WebpackDevServer } = await import('webpack-dev-server');
    const s = await server();
    t.after(() => s.stop());
    const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'sse-webpack-'));
    fs.writeFileSync(path.join(dir, 'index.js'), '');
    const compiler = webpack({ mode: 'development', context: dir, entry: './index.js',
        output: { path: dir }, stats: 'none', infrastructureLogging: { level: 'error' } });
    const gateway = new WebpackDevServer({ host: '127.0.0.1', port: 'auto', compress: true,
        proxy: [{ context: ['/news'], target: s.url }], static: false, setupExitSignals: false }, compiler);
    t.after(() => new Promise((f) => compiler.close(f)));
    t.after(() => fs.rmSync(dir, { recursive: true }));
    await gateway.start();
    t.after(() => gateway.stop());
    await through(s, `http://127.0.0.1:${gateway.server.address().port}/news`);
});
