// Subscribes a page to topics: see the README, "In your own page". Returns a function that ends it.
export function subscribe(url, {topics = [], events = [], since = 'now', token, onmessage, ongap = e => e, onended = e => e, onerror = e => e}) {
let u = new URL(url, globalThis.location), kv = {}, n = 0, dead = 45e3, abort = e => e, ended, lead, channel, timer, {locks} = navigator
u.pathname += topics.map(encodeURIComponent)
try { kv = sessionStorage } catch {}
// the cursor is kept by what is read, and never with a token
let key = u.origin + u.pathname + events, wild = /\*|%2a/i.test(u.pathname), several = wild || /,|%2c/i.test(u.pathname), id = /^\d+-\d+$/.test(kv[key]) ? kv[key] : ''
// a late answer may be older than what a stream has told
let at = x => x && !had(x) && (id = kv[key] = x),
had = (a, [x, y] = a.split('-'), [z, w] = id.split('-')) => x == z && y - w <= 0,
take = m => {
if (had(m.id)) return
lead?.postMessage([id, m])
at(m.id)
if (m.event && m.event != 'message' && !wild && !events.includes(m.event)) return
onmessage({id: m.id, topic: m.topic, event: m.event || (several ? m.topic : 'message'), data: m.data ?? 'data:;base64,' + m.base64})
},
ask = async (accept, more) => {
let q = new URL(u), t = await (token?.call ? token() : token), go = new AbortController, p = {since, ...id && {'last-event-id': id}, ...more}
abort = () => go.abort()
ended && abort()
for (let k in p) q.searchParams.set(k, p[k])
let r = await fetch(q, {signal: go.signal, cache: 'no-store', headers: {Accept: accept, ...t && {Authorization: 'Bearer ' + t}}})
if (!r.ok) throw await r.json().catch(() => ({status: r.status, title: r.statusText}))
return r
},
stop = () => {
ended = 1
clearTimeout(timer)
abort()
channel?.close()
},
// true: all topics have ended, and so does this
over = r => r.headers.get('Ended') && !ended && (stop(), onended(), 1),
poll = async wait => {
let r = await ask('application/json', {wait}), b = r.status == 204 ? {} : await r.json()
b.gap && ongap(b.gap)
b.messages?.map(take)
at(b.id || r.headers.get('Last-Event-ID'))
n = 0
over(r)
},
pause = () => new Promise(f => timer = setTimeout(f, 2 ** Math.min(6, n++) * (250 + 500 * Math.random()))),
// A stream of lines; false: nothing of it comes through, as behind a proxy that buffers. Silence for three heartbeats ends it.
stream = async () => {
let came, late, rest = '', text = new TextDecoder, beat = ms => {
clearTimeout(timer)
timer = setTimeout(() => abort(late = 1), ms)
}
beat(1e3)
try {
let r = await ask('application/x-ndjson', {wait: 25, hello: '', heartbeat: 'event'}), got
if (over(r)) return 1
r = r.body.getReader()
while (!(got = await r.read()).done) {
let lines = (rest + text.decode(got.value, {stream: true})).split('\n')
rest = lines.pop()
n = 0
came = 1
beat(dead)
for (let l of lines) if (l && (l = JSON.parse(l))) {
l.gap && ongap(l.gap)
l.topic ? take(l) : at(l.id || l.heartbeat?.id || l.ended?.id)
}
}
} catch (e) {
if (!late) throw e
dead = came ? Math.min(2 * dead, 6e5) : dead
} finally {
clearTimeout(timer)
}
if (!late && !ended) await pause()
return came
},
run = async () => {
for (let held; !ended;)
try {
held = held || !await stream()
while (held && !ended) await poll(25)
} catch (e) {
if (ended) return
onerror(e)
held = 0
await pause()
}
},
all = poll(0).catch(e => ended || onerror(e))
if (locks) {
channel = new BroadcastChannel(key)
channel.onmessage = ({data: [p, m]}) => all = all.then(() => had(m.id) || (had(p) ? take(m) : poll(0))).catch(onerror)
}
all.then(() => locks ? locks.request(key, () => ended || run(lead = channel)) : run())
return stop
}
// Publishes a message, and tries again until it is known to be there, once: the key sees to that.
export async function publish(url, data, {event, end, token, tries = 10, key = crypto.getRandomValues(new Uint32Array(4)).join('-')} = {}) {
let u = new URL(url, globalThis.location), p = {event, ...end && {end: 1}}
for (let k in p) p[k] && u.searchParams.set(k, p[k])
for (let n = 0; ; n++) {
let r, e
try {
let t = await (token?.call ? token() : token)
r = await fetch(u, {method: 'POST', body: data, headers: {'Idempotency-Key': `"${key}"`, ...!data?.charAt && {'Content-Type': 'application/octet-stream'}, ...t && {Authorization: 'Bearer ' + t}}})
e = await r.json()
if (r.ok) return e
} catch (x) {
e = e || x
if (r?.ok) r = 0
}
if (n + 1 >= tries || r && r.status < 500 && r.status != 429 && r.status != 408) throw e
await new Promise(f => setTimeout(f, 1e3 * (r && r.headers.get('Retry-After')) || 2 ** Math.min(6, n) * (250 + 500 * Math.random())))
}
}
