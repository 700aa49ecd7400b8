// Tokens that `jose` signs, with the claims that Keycloak and Auth0 document, and the key sets that it
// exports: what they allow is allowed, and what it makes besides is refused.
import assert from 'node:assert';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import * as jose from 'jose';
import { server } from './kit.mjs';

const algorithms = ['RS256', 'ES256', 'EdDSA'];

// A server with a set of a key for each algorithm, each named by it, and of one for encryption.
async function start(flags) {
    const dir = await mkdtemp(join(tmpdir(), 'sse-tokens-')), keys = {}, set = { keys: [] };
    for (const alg of algorithms) {
        keys[alg] = await jose.generateKeyPair(alg, { extractable: true, ...(alg === 'EdDSA' && { crv: 'Ed25519' }) });
        set.keys.push({ ...(await jose.exportJWK(keys[alg].publicKey)), kid: alg, use: 'sig', alg });
    }
    const other = await jose.generateKeyPair('RSA-OAEP-256', { extractable: true });
    set.keys.push({ ...(await jose.exportJWK(other.publicKey)), kid: 'enc', use: 'enc', alg: 'RSA-OAEP-256' });
    await writeFile(join(dir, 'keys.json'), JSON.stringify(set));
    const s = await server('--key-file', join(dir, 'keys.json'), '--max-failures', '0', ...flags);
    return { ...s, keys, other, async end() { await s.stop(); await rm(dir, { recursive: true }); } };
}

const sign = (s, alg, claims, header = {}) =>
    new jose.SignJWT(claims).setProtectedHeader({ alg, typ: 'JWT', kid: alg, ...header }).sign(s.keys[alg].privateKey);

async function status(s, method, topic, token) {
    const r = await fetch(`${s.url}/${topic}`, {
        method, headers: { Authorization: `Bearer ${token}` }, ...(method === 'POST' && { body: 'x' }),
    });
    const text = await r.text();
    return r.status < 400 ? r.status : `${r.status} ${JSON.parse(text).detail}`;
}

const now = Math.floor(Date.now() / 1000);

// docs: Keycloak, Server Administration Guide, "OIDC token and SAML assertion mappings".
const keycloak = {
    exp: now + 300, iat: now, auth_time: now - 5, jti: 'onrtac:0d2b4a1c-5f0e-4c0a-8c39-2d4fb6a3a1e0',
    iss: 'https://id.example.com/realms/shop', aud: ['events', 'account'],
    sub: '3f1cb1a6-0a57-4a6f-9d1e-8a3b1f7f5c11', typ: 'Bearer', azp: 'web', sid: 'b7c1', acr: '1',
    'allowed-origins': ['https://shop.example.com'], realm_access: { roles: ['offline_access', 'uma_authorization'] },
    resource_access: { account: { roles: ['manage-account', 'view-profile'] } }, scope: 'openid profile email',
    email_verified: true, name: 'Anna K', preferred_username: 'anna', email: 'anna@example.com',
    sse: { publish: ['orders/anna/*'], subscribe: ['orders/**'] },
};
// docs: Auth0, "Access Token Profiles" and "Create Custom Claims".
const auth0 = {
    iss: 'https://shop.eu.auth0.com/', sub: 'auth0|61f3a1c2e4b0', aud: ['https://events.example.com', 'https://shop.eu.auth0.com/userinfo'],
    iat: now, exp: now + 86400, azp: 'my_client_id', gty: 'password', permissions: [],
    scope: 'openid profile subscribe:orders/* publish:orders/anna',
};

for (const alg of algorithms) {
    test(`Keycloak, ${alg}`, async () => {
        const s = await start(['--issuer', keycloak.iss, '--audience', 'events', '--claims', 'sse']);
        const t = await sign(s, alg, keycloak);
        assert.equal(await status(s, 'POST', 'orders/anna/1', t), 201);
        assert.equal(await status(s, 'GET', 'orders/anna/1', t), 200);
        assert.match(await status(s, 'POST', 'orders/bert/1', t), /^403 the token does not allow publishing/);
        assert.match(await status(s, 'GET', 'a', await sign(s, alg, { ...keycloak, iss: 'https://evil/' })), /^401 .*issuer/);
        assert.match(await status(s, 'GET', 'a', await sign(s, alg, { ...keycloak, aud: 'account' })), /^401 .*somebody else/);
        assert.match(await status(s, 'GET', 'a', await sign(s, alg, { ...keycloak, exp: now - 100 })), /^401 .*has expired/);
        await s.end();
    });
    test(`Auth0, ${alg}`, async () => {
        const s = await start(['--issuer', auth0.iss, '--audience', 'https://events.example.com']);
        const t = await sign(s, alg, auth0);
        assert.equal(await status(s, 'POST', 'orders/anna', t), 201);
        assert.equal(await status(s, 'GET', 'orders/anna', t), 200);
        assert.match(await status(s, 'GET', 'users/anna', t), /^403/);
        await s.end();
        const name = 'https://events.example.com/sse', c = await start(['--issuer', auth0.iss, '--audience', auth0.aud[0], '--claims', name]);
        const claims = { ...auth0, scope: 'openid', [name]: { subscribe: ['users/anna'] } };
        assert.equal(await status(c, 'GET', 'users/anna', await sign(c, alg, claims)), 204);
        await c.end();
    });
}

test('what else jose makes is refused', async () => {
    const s = await start([]);
    const claims = { publish: ['a'] };
    const strange = await jose.generateKeyPair('ES256');
    const signed = (alg, key, header) => new jose.SignJWT(claims).setProtectedHeader({ alg, ...header }).sign(key);
    assert.match(await status(s, 'POST', 'a', await signed('ES256', strange.privateKey)), /^401 .*not of a key/);
    assert.match(await status(s, 'POST', 'a', await signed('ES256', strange.privateKey, { kid: 'ES256' })), /^401 .*not of a key/);
    assert.match(await status(s, 'POST', 'a', await signed('ES256', strange.privateKey, { kid: 'enc' })), /^401 .*does not have/);
    assert.match(await status(s, 'POST', 'a', await sign(s, 'ES256', claims, { kid: 'RS256' })), /^401 .*is for another/);
    const public_key = new TextEncoder().encode(await jose.exportSPKI(s.keys.RS256.publicKey));
    assert.match(await status(s, 'POST', 'a', await signed('HS256', public_key)), /^401 .*no key of this server is for that/);
    for (const alg of ['RS512', 'PS256', 'ES384'])
        assert.match(await status(s, 'POST', 'a', await signed(alg, (await jose.generateKeyPair(alg)).privateKey)), /^401 .*algorithm/);
    assert.match(await status(s, 'POST', 'a', new jose.UnsecuredJWT(claims).encode()), /^401 .*'none'/);
    const jwe = await new jose.EncryptJWT(claims).setProtectedHeader({ alg: 'RSA-OAEP-256', enc: 'A256GCM' }).encrypt(s.other.publicKey);
    assert.match(await status(s, 'POST', 'a', jwe), /^401 .*three parts/);
    await s.end();
});

test('a token of sse token is one of jose', async () => {
    const { privateKey, publicKey } = await jose.generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true });
    const dir = await mkdtemp(join(tmpdir(), 'sse-tokens-'));
    await writeFile(join(dir, 'key'), await jose.exportPKCS8(privateKey), { mode: 0o600 });
    const { execFileSync } = await import('node:child_process');
    const token = execFileSync(process.env.SSE_BIN ?? '../../sse',
        ['token', '--private', join(dir, 'key'), '--publish', 'a/*', '--sub', 'anna', '--jti', '1']).toString().trim();
    const { payload, protectedHeader } = await jose.jwtVerify(token, publicKey);
    assert.deepEqual(protectedHeader, { alg: 'EdDSA' });
    assert.deepEqual([payload.publish, payload.sub, payload.jti], [['a/*'], 'anna', '1']);
    await rm(dir, { recursive: true });
});
