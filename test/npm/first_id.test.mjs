// A client that is cut before its first message must not lose what comes meanwhile. Most libraries take
// an id only from a block that has data, so with ?hello it stands in the hello event. Each library is
// cut once its stream is open and before any message; what is published while it is away must arrive.
import assert from 'node:assert';
import { test } from 'node:test';
import { relay, server, until } from './kit.mjs';

// Each connects to a URL and hands every message's data to `got`; returns how to end it.
const libraries = {
    async eventsource(url, got) {
        const { EventSource } = await import('eventsource');
        const es = new EventSource(url);
        es.onmessage = (e) => got(e.data);
        return () => es.close();
    },
    async 'eventsource-client'(url, got) {
        const { createEventSource } = await import('eventsource-client');
        const es = createEventSource({ url, onMessage: (e) => !e.event && got(e.data) });
        return () => es.close();
    },
    async 'launchdarkly-eventsource'(url, got) {
        const { EventSource } = await import('launchdarkly-eventsource');
        const es = new EventSource(url, { initialRetryDelayMillis: 50, errorFilter: () => true });
        es.onmessage = (e) => got(e.data);
        es.onerror = () => {};
        return () => es.close();
    },
    async '@microsoft/fetch-event-source'(url, got) {
        globalThis.window ??= globalThis;
        globalThis.document ??= { hidden: false, addEventListener() {}, removeEventListener() {} };
        const { fetchEventSource } = await import('@microsoft/fetch-event-source');
        const end = new AbortController();
        fetchEventSource(url, {
            signal: end.signal,
            openWhenHidden: true,
            async onopen() {},
            onmessage: (e) => e.event === '' && e.data !== '' && got(e.data),
            onclose() { throw new Error('again'); },
            onerror: () => 50,
        }).catch(() => {});
        return () => end.abort();
    },
    async 'event-source-polyfill'(url, got) {
        globalThis.window ??= globalThis;
        globalThis.addEventListener ??= () => {};
        globalThis.document ??= { readyState: 'complete', addEventListener() {} };
        const { default: m } = await import('event-source-polyfill');
        const es = new m.EventSourcePolyfill(url, { heartbeatTimeout: 600000 });
        es.onmessage = (e) => got(e.data);
        return () => es.close();
    },
    async 'reconnecting-eventsource'(url, got) {
        const { EventSource } = await import('eventsource');
        globalThis.EventSource = EventSource;
        const { default: m } = await import('reconnecting-eventsource');
        const es = new (m.default ?? m)(url, { max_retry_time: 50, eventSourceClass: EventSource });
        es.onmessage = (e) => got(e.data);
        return () => es.close();
    },
    async undici(url, got) {
        const { EventSource } = await import('undici');
        const es = new EventSource(url);
        es.onmessage = (e) => got(e.data);
        return () => es.close();
    },
};

for (const [name, connect] of Object.entries(libraries))
    test(`${name} loses nothing where it is cut before its first message`, async (t) => {
        const s = await server('--retry', '50ms');
        t.after(() => s.stop());
        const r = await relay(s.port);
        t.after(() => r.close());
        const got = [];
        await s.publish('news', 'before'); // not for it: its stream begins behind this
        t.after(await connect(`${r.url}/news?hello`, (d) => got.push(d)));
        await until(async () => (await s.metric('subscriptions')) === 1, 'it subscribes');
        await new Promise((f) => setTimeout(f, 300)); // it has read the opening, too
        r.open = false;
        r.cut();
        await until(async () => (await s.metric('subscriptions')) === 0, 'it is cut');
        await s.publish('news', 'away 1');
        await s.publish('news', 'away 2');
        r.open = true;
        await until(() => got.length >= 2, `${name} comes back and gets what it missed`);
        await s.publish('news', 'after');
        await until(() => got.length >= 3, `${name} goes on`);
        assert.deepStrictEqual(got, ['away 1', 'away 2', 'after']);
    });

// It makes a message of a block without data, as the opening is: with ?hello=only there is none, from the
// opening over checkpoints to the end of the server.
test('@microsoft/fetch-event-source gets no empty message with ?hello=only', async (t) => {
    const s = await server('--retry', '50ms', '--heartbeat', '200ms', '--drain', '0');
    let stopped = false;
    t.after(() => stopped || s.stop());
    globalThis.window ??= globalThis;
    globalThis.document ??= { hidden: false, addEventListener() {}, removeEventListener() {} };
    const { fetchEventSource } = await import('@microsoft/fetch-event-source');
    const all = { '': [], '?hello=only': [] };
    const end = new AbortController();
    t.after(() => end.abort());
    for (const query in all)
        fetchEventSource(`${s.url}/news${query}`, {
            signal: end.signal,
            openWhenHidden: true,
            async onopen() {},
            onmessage: (e) => all[query].push(e),
            onclose() { throw new Error('again'); },
            onerror: () => 50,
        }).catch(() => {});
    const got = all['?hello=only'];
    await until(async () => (await s.metric('subscriptions')) === 2, 'both subscribe');
    await s.publish('other', 'makes a checkpoint');
    await until(() => got.filter((e) => e.event === 'heartbeat').length >= 2, 'checkpoints come');
    await s.publish('news', 'one');
    await until(() => got.some((e) => e.data === 'one'), 'the message comes');
    stopped = true;
    await s.stop();
    await new Promise((f) => setTimeout(f, 300));
    assert.ok(all[''].some((e) => e.event === '' && e.data === ''), 'the opening is one without it');
    assert.strictEqual(got[0].event, 'hello');
    assert.match(got[0].id, /^\d+-\d+$/);
    assert.ok(got[0].retry >= 37, 'the reconnection time is in it');
    assert.deepStrictEqual(got.filter((e) => e.event === '').map((e) => e.data), ['one']);
});
