// The manifest for Kubernetes is as the API's schemas have it, its parts name each other, its drain fits, and the
// server runs with its variables.
import assert from 'node:assert';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';

const file = path.join(path.dirname(process.env.SSE_BIN), 'debian/examples/kubernetes.yaml');
const { parseAllDocuments } = await import('yaml');
const all = parseAllDocuments(fs.readFileSync(file, 'utf8')).map((d) => {
    assert.deepStrictEqual([d.errors, d.warnings], [[], []]);
    return d.toJS();
});
const of = (kind) => all.find((o) => o.kind === kind);
const pod = of('Deployment').spec.template, container = pod.spec.containers[0];
const env = Object.fromEntries(container.env.map((e) => [e.name, e.value]));
const seconds = (text) => Number(/^(\d+)s$/.exec(text)[1]);

test('each object is as its schema has it', async () => {
    for (const o of all) {
        const { [o.kind]: Model } = await import(`kubernetes-models/${o.apiVersion}/${o.kind}`);
        new Model(o).validate();
        assert.throws(() => new Model({ ...o, spec: 'wrong' }).validate());
    }
    assert.deepStrictEqual(all.map((o) => o.kind), ['Deployment', 'Service', 'NetworkPolicy']);
});

test('its parts name each other', () => {
    const labels = pod.metadata.labels, ports = container.ports.map((p) => p.name);
    assert.deepStrictEqual(of('Deployment').spec.selector.matchLabels, labels);
    assert.deepStrictEqual(of('Service').spec.selector, labels);
    assert.deepStrictEqual(of('NetworkPolicy').spec.podSelector.matchLabels, labels);
    for (const p of of('Service').spec.ports) assert.ok(ports.includes(p.targetPort));
    for (const probe of ['startupProbe', 'readinessProbe', 'livenessProbe'])
        assert.ok(ports.includes(container[probe].httpGet.port));
    const port = Object.fromEntries(container.ports.map((p) => [p.name, String(p.containerPort)]));
    assert.strictEqual(env.SSE_PORT, port.http);
    assert.strictEqual(env.SSE_ADMIN.split(':')[1], port.admin);
    assert.strictEqual(pod.metadata.annotations['prometheus.io/port'], port.admin);
    const mount = container.volumeMounts[0];
    assert.strictEqual(pod.spec.volumes[0].name, mount.name);
    assert.ok(env.SSE_KEY_FILE.startsWith(mount.mountPath + '/'));
});

test('the drain fits the grace period, and the memory its limit', () => {
    const needed = container.lifecycle.preStop.sleep.seconds + seconds(env.SSE_DRAIN);
    assert.ok(pod.spec.terminationGracePeriodSeconds >= needed + 5, `${needed} s, and some to spare`);
    const limit = Number(/^(\d+)Mi$/.exec(container.resources.limits.memory)[1]);
    assert.ok(limit >= 1.5 * Number(/^(\d+)M$/.exec(env.SSE_MAX_MEMORY)[1]));
});

test('the server runs with its variables, and its probes are answered', async (t) => {
    const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'sse-manifest-'));
    t.after(() => fs.rmSync(dir, { recursive: true }));
    fs.writeFileSync(path.join(dir, 'keys'), '1'.repeat(64) + '\n', { mode: 0o440 });
    const child = spawn(process.env.SSE_BIN, [], { env: { ...env, SSE_PORT: '0', SSE_BIND: '127.0.0.1',
        SSE_ADMIN: '127.0.0.1:0', SSE_KEY_FILE: path.join(dir, 'keys'), SSE_DRAIN: '0', SSE_LOG: 'error' } });
    t.after(() => child.kill());
    let said = '';
    child.stderr.on('data', (d) => (said += d));
    const lines = String((await once(child.stdout, 'data'))[0]).trim().split('\n');
    const admin = lines.find((l) => l.startsWith('admin ')).slice(6);
    for (const probe of ['startupProbe', 'readinessProbe', 'livenessProbe'])
        assert.strictEqual((await fetch(admin + container[probe].httpGet.path)).status, 200);
    assert.strictEqual((await fetch(admin + pod.metadata.annotations['prometheus.io/path'])).status, 200);
    assert.strictEqual((await fetch(lines[0] + '/news')).status, 401);
    assert.strictEqual(said, '');
});
