const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** Makes text safe for element content and for quoted attributes. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? character);
}

const STYLE = `
:root{color-scheme:light dark;--ink:#1d2433;--soft:#5b6579;--line:#dfe3ea;--paper:#fff;--back:#f4f6f9;--link:#1b5fc1;--good:#1a7f4b;--bad:#b3261e}
@media (prefers-color-scheme:dark){:root{--ink:#e6e9ef;--soft:#9aa4b6;--line:#30384a;--paper:#171c27;--back:#10141d;--link:#7fb2ff;--good:#5fd39a;--bad:#ff8a80}}
*{box-sizing:border-box}body{margin:0;font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--back)}
header{background:var(--paper);border-bottom:1px solid var(--line);padding:.8rem 1.5rem}header a{font-weight:600;color:var(--ink)}
main{max-width:1500px;margin:0 auto;padding:1.2rem 1.5rem 3rem}h1{font-size:1.4rem;margin:.2rem 0;overflow-wrap:anywhere}h2{font-size:1rem;margin:0 0 .5rem}
a{color:var(--link);text-decoration:none}a:hover{text-decoration:underline}.lead{color:var(--soft);margin:.2rem 0 1rem}code{font-size:.9em}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(22rem,1fr));gap:1rem}.card{background:var(--paper);border:1px solid var(--line);border-radius:8px;padding:1rem}
table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;padding:.35rem .6rem;border-top:1px solid var(--line)}.card tr:first-child td{border-top:0}
small{display:block;color:var(--soft);font-weight:400}.count{text-align:right;font-variant-numeric:tabular-nums}.when{white-space:nowrap;color:var(--soft)}
.scroll{overflow-x:auto;background:var(--paper);border:1px solid var(--line);border-radius:8px}.rows th{border-top:0;font-size:.85rem;color:var(--soft);white-space:nowrap}.rows td{max-width:24rem}.rows .long{overflow-wrap:anywhere}
.record{background:var(--paper);border:1px solid var(--line);border-radius:8px}.record th{width:16rem}.record td{overflow-wrap:anywhere;white-space:pre-wrap}
.tag{font-weight:600}.tag.good{color:var(--good)}.tag.bad{color:var(--bad)}.empty{color:var(--soft)}
form{display:flex;gap:.5rem;margin:0 0 1rem}input{flex:0 1 26rem;font:inherit;padding:.35rem .6rem;border:1px solid var(--line);border-radius:6px;background:var(--paper);color:inherit}
button{font:inherit;padding:.35rem .9rem;border:1px solid var(--line);border-radius:6px;background:var(--paper);color:inherit;cursor:pointer}
.pager{display:flex;gap:1rem;align-items:baseline;margin-top:1rem}.pager span{color:var(--soft)}`;

/** A whole page around a body that is safe already. */
export function layout(title: string, body: string): string {
  const safe = escapeHtml(title);
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${safe} · lab ServiceNow</title><style>${STYLE}</style></head><body><header><a href="/lab/">Lab ServiceNow</a></header><main><h1>${safe}</h1>${body}</main></body></html>`;
}
