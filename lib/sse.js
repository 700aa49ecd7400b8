export function subscribe(url, {topics = [], events = [], since = 'now', onmessage, ongap = e => e, onerror = e => e}) {
let u = new URL(url, location), q = u.searchParams, end = new AbortController, kv = {}, n = 0, es, t, bc, lead, {locks} = navigator
u.pathname += topics.map(encodeURIComponent)
try { kv = sessionStorage } catch {}
let k = u + events, id = kv[k] || '', names = ['hello', 'message', 'gap', ...events, ...topics]
u.search += '&hello&since=' + since
let at = wait => (q.set('wait', wait), id && q.set('lastEventId', id), u),
wild = /\*/.test(u),
take = m => {
lead?.postMessage([id, m])
id = kv[k] = m.id
m.event == 'gap' ? ongap(JSON.parse(m.data)) : (wild || names.includes(m.event)) && onmessage(m)
},
poll = async wait => {
let r = await fetch(at(wait), end), b = r.status == 204 || await r.json()
if (!r.ok) throw b
if (b.gap) ongap(b.gap)
b.messages?.map(m => {
m.event ||= wild || topics[1] ? m.topic : 'message'
m.data ??= 'data:;base64,' + m.base64
take(m)
})
id = kv[k] = r.headers.get('Last-Event-ID')
},
fail = e => {
es?.close()
clearTimeout(t)
if (end.signal.aborted) return bc?.close()
onerror(e)
t = setTimeout(() => poll(0).then(open, fail), 2 ** Math.min(6, n++) * (250 + 500 * Math.random()))
},
hold = () => {
es?.close()
poll(25).then(() => hold(n = 0), fail)
},
open = () => {
if (wild) return hold()
t = setTimeout(hold, 1e3)
es = new EventSource(at(25))
es.onerror = e => es.readyState > 1 && fail(e)
for (let event of names)
es.addEventListener(event, ({data, lastEventId: id}) => data || event != 'hello' ? take({id, event, data}) : clearTimeout(t, n = 0))
},
had = (a, [x, y] = a.split('-'), [z, w] = id.split('-')) => x == z && y - w <= 0,
all = poll(0).catch(onerror)
if (locks) {
bc = new BroadcastChannel(k)
bc.onmessage = ({data: [p, m]}) => all = all.then(() => had(m.id) || (had(p) ? take(m) : poll(0))).catch(onerror)
}
all.then(() => locks ? locks.request(k, end, () => new Promise(f => open(lead = bc, end.signal.onabort = f))) : open()).catch(fail)
return () => fail(end.abort())
}
