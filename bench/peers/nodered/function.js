// The function node of the flow: the rules on one event at a time, a grid of lists per kind, as plain.py does it.
// RULES is put in front by nodered_run.py: {match, cluster, sequence, absence} as rows. Messages: an event, or {"end": batch, "last": bool}.
const METRE = (6371008.8 * Math.PI) / 180, LON0 = -74.0, LAT0 = 40.7, KX = METRE * Math.cos((LAT0 * Math.PI) / 180);

function start() {
  const s = { match: {}, cluster: {}, later: {}, start: {}, store: {}, grids: {}, runs: new Map(), pending: new Map(), span: 0, found: [] };
  const put = (table, key, row) => (table[key] = table[key] || []).push(row);
  const keep = (kind, low, cell, span) => {
    s.grids[cell] = s.grids[cell] || new Map();
    const store = (s.store[kind] = s.store[kind] || {});
    store[cell] = Math.min(cell in store ? store[cell] : Infinity, low);
    s.span = Math.max(s.span, span);
  };
  for (const [rule, kind, on, off, n] of RULES.match) put(s.match, kind, [rule, on, off, n]);
  for (const [rule, kind, low, r, t, k, cell] of RULES.cluster) { put(s.cluster, kind, [rule, low, r, t, k, cell]); keep(kind, low, cell, t); }
  for (const [rule, ka, la, kb, lb, r, t, cell] of RULES.sequence) { put(s.later, kb, [rule, lb, ka, la, r, t, cell]); keep(ka, la, cell, t); }
  for (const [rule, ka, la, kb, lb, r, t, cell] of RULES.absence) { put(s.start, ka, [rule, la, kb, lb, r, t, cell]); keep(kb, lb, cell, t); }
  return s;
}

// Calls back with every entry of `kind` near e between two times until the callback says true; true when one did.
function near(s, kind, low, e, r, cell, since, until, hit) {
  const reach = 1.01 * cell, cx = Math.floor(((e.lon - LON0) * KX) / reach), cy = Math.floor(((e.lat - LAT0) * METRE) / reach);
  for (let i = -1; i < 2; i++)
    for (let j = -1; j < 2; j++) {
      const chain = s.grids[cell].get(kind + ":" + (cx + i) + ":" + (cy + j));
      if (!chain) continue;
      let old = 0;
      while (old < chain.length && chain[old].t < until - 2 * s.span) old++;
      if (old) chain.splice(0, old);
      for (const o of chain) {
        if (o.t < since || o.t > until || o.v < low) continue;
        const dx = (o.lon - e.lon) * (o.c + e.c) * 0.5 * METRE, dy = (o.lat - e.lat) * METRE;
        if (dx * dx + dy * dy <= r * r && hit(o)) return true;
      }
    }
  return false;
}

function due(s, now) {
  for (const queue of s.pending.values()) {
    let done = 0;
    while (done < queue.length && queue[done].due < now) {
      const p = queue[done++], [rule, , kind, low, r, , cell] = p.row;
      if (!near(s, kind, low, p.e, r, cell, p.e.t + 1, p.due, () => true)) s.found.push([rule, p.e.seq]);
    }
    if (done) queue.splice(0, done);
  }
}

function matches(s, e) {
  for (const [rule, high, low, n] of s.match[e.k] || []) {
    const key = rule * 100000 + e.s, was = s.runs.get(key);
    let on = was ? was.on : false, run = was ? was.run : 0;
    run = (on ? e.v <= low : e.v >= high) ? run + 1 : 0;
    if (run >= n) { on = !on; run = 0; if (on) s.found.push([rule, e.seq]); }
    if (was) { was.on = on; was.run = run; } else if (on || run) s.runs.set(key, { on, run });
  }
}

function spatial(s, e) {
  for (const [rule, low, r, t, k, cell] of s.cluster[e.k] || []) {
    if (e.v < low) continue;
    const seen = new Set([e.s]);
    if (near(s, e.k, low, e, r, cell, e.t - t, e.t, (o) => seen.add(o.s).size >= k)) s.found.push([rule, e.seq]);
  }
  for (const [rule, low, first, least, r, t, cell] of s.later[e.k] || [])
    if (e.v >= low && near(s, first, least, e, r, cell, e.t - t, e.t, () => true)) s.found.push([rule, e.seq]);
  for (const row of s.start[e.k] || []) {
    if (e.v < row[1]) continue;
    const span = row[5];
    if (!s.pending.has(span)) s.pending.set(span, []);
    s.pending.get(span).push({ due: e.t + span, e, row });
  }
  for (const [cell, low] of Object.entries(s.store[e.k] || {})) {
    if (e.v < low) continue;
    const reach = 1.01 * cell;
    const key = e.k + ":" + Math.floor(((e.lon - LON0) * KX) / reach) + ":" + Math.floor(((e.lat - LAT0) * METRE) / reach);
    const chain = s.grids[cell].get(key);
    if (chain) chain.push(e); else s.grids[cell].set(key, [e]);
  }
}

let s = context.get("s");
if (!s) { s = start(); context.set("s", s); }
const e = msg.payload;
if ("end" in e) {
  if (e.last) due(s, Infinity);
  msg.payload = JSON.stringify({ end: e.end, found: s.found }) + "\n";
  s.found = [];
  return msg;
}
e.c = Math.cos((e.lat * Math.PI) / 180);
due(s, e.t);
matches(s, e);
spatial(s, e);
return null;
