// README.md: In a page
export function subscribe(url, {topics = [], events = [], since = 'now', onmessage, ongap = e => e, onerror = e => e}) {
let u = new URL(url, location), q = u.searchParams, end = new AbortController, kv = {}, n = 0, es, t, tabs, lead, {locks} = navigator
u.pathname += topics.map(encodeURIComponent)
try { kv = sessionStorage } catch {}
let key = u + events, id = kv[key] || ''
u.search += '&hello&since=' + since
let at = wait => (q.set('wait', wait), id && q.set('lastEventId', id), u),
take = m => {
lead?.postMessage([id, m])
id = kv[key] = m.id
m.event == 'gap' ? ongap(JSON.parse(m.data)) : onmessage(m)
},
poll = async wait => {
let r = await fetch(at(wait), end), b = r.status == 204 || await r.json()
if (!r.ok) throw b
if (b.gap) ongap(b.gap)
b.messages?.map(m => {
m.event ||= /[,*]/.test(u) ? m.topic : 'message'
m.data ??= 'data:;base64,' + m.base64
take(m)
})
id = kv[key] = b.id || r.headers.get('Last-Event-ID')
},
fail = e => {
es?.close()
clearTimeout(t)
if (end.signal.aborted) return tabs?.close()
onerror(e)
t = setTimeout(() => poll(0).then(open, fail), 2 ** Math.min(6, n++) * (250 + 500 * Math.random()))
},
hold = () => {
es?.close()
poll(25).then(() => hold(n = 0), fail)
},
open = () => {
if (/\*/.test(u)) return hold()
t = setTimeout(hold, 1e3)
es = new EventSource(at(25))
es.onerror = e => es.readyState > 1 && fail(e)
for (let event of ['hello', 'message', 'gap', ...events, ...topics])
es.addEventListener(event, ({data, lastEventId: id}) => data || event != 'hello' ? take({id, event, data}) : clearTimeout(t, n = 0))
},
had = (a, [x, y] = a.split('-'), [z, w] = id.split('-')) => x == z && y - w <= 0,
all = poll(0).catch(onerror)
if (locks) {
tabs = new BroadcastChannel(key)
tabs.onmessage = ({data: [p, m]}) => all = all.then(() => had(m.id) || (had(p) ? take(m) : poll(0))).catch(onerror)
}
all.then(() => locks ? locks.request(key, end, () => new Promise(f => open(lead = tabs, end.signal.onabort = f))) : open()).catch(fail)
return () => fail(end.abort())
}
