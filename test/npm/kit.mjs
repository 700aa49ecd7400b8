// What the tests share: a server of their own, a TCP relay that can cut, waiting.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';

export const WAIT_MS = 60000; // for what must come, however slow the machine is

// Starts the server with these flags. Returns {url, publish, metric, stop}.
export async function server(...flags) {
    const child = spawn(process.env.SSE_BIN ?? '../../sse', ['--port', '0', '--log', 'error', ...flags]);
    let said = '';
    child.stderr.on('data', (d) => (said += d));
    const [line] = await once(child.stdout, 'data');
    const url = String(line).trim().split('\n')[0];
    return {
        url,
        port: Number(new URL(url).port),
        async publish(topic, data) {
            const r = await fetch(`${url}/${topic}`, { method: 'POST', body: data });
            if (r.status !== 201) throw new Error(await r.text());
            return (await r.json()).id;
        },
        async metric(name) {
            const text = await (await fetch(`${url}/-/metrics`)).text();
            return Number(text.split('\n').find((l) => l.startsWith(`sse_${name} `))?.split(' ')[1]);
        },
        async stop() {
            child.kill('SIGTERM');
            if (child.exitCode === null) await once(child, 'exit');
            if (said !== '') throw new Error(`the server said: ${said}`);
        },
    };
}

// A relay to a port. `open`: new connections are let through. cut() ends those there are.
export async function relay(port) {
    const sockets = new Set();
    const r = { open: true, count: 0 };
    const s = net.createServer((from) => {
        if (!r.open) return from.destroy();
        r.count++;
        const to = net.connect(port, '127.0.0.1');
        for (const [a, b] of [[from, to], [to, from]]) {
            sockets.add(a);
            a.on('error', () => {});
            a.on('close', () => { sockets.delete(a); b.destroy(); });
            a.pipe(b);
        }
    });
    s.listen(0, '127.0.0.1');
    await once(s, 'listening');
    r.url = `http://127.0.0.1:${s.address().port}`;
    r.cut = () => { for (const x of sockets) x.destroy(); };
    r.close = () => { r.open = false; r.cut(); s.close(); };
    return r;
}

// Waits until `what` returns something true, and returns that.
export async function until(what, why) {
    for (const end = Date.now() + WAIT_MS; ; ) {
        const got = await what();
        if (got) return got;
        if (Date.now() > end) throw new Error(`in vain: ${why}`);
        await new Promise((f) => setTimeout(f, 10));
    }
}
