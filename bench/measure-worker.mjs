/**
 * Loaded into a worker with `--import`: adds up how long every SQL statement and every HTTP request took, and writes it down when the
 * process ends. Plain JavaScript, because it has to be there before the engine's own modules.
 */
import diagnostics from 'node:diagnostics_channel';
import { writeFileSync } from 'node:fs';
import pg from 'pg';

const output = process.env.BENCH_MEASURE_OUTPUT;
const statements = new Map();
const requests = new Map();

function add(totals, name, ms, rows = 0) {
  const total = totals.get(name) ?? { n: 0, ms: 0, longestMs: 0, rows: 0 };
  total.n += 1;
  total.ms += ms;
  total.rows += rows;
  total.longestMs = Math.max(total.longestMs, ms);
  totals.set(name, total);
}

const query = pg.Client.prototype.query;
pg.Client.prototype.query = function timedQuery(...args) {
  const startedMs = performance.now();
  const text = (typeof args[0] === 'string' ? args[0] : (args[0]?.text ?? '?')).replace(/\s+/g, ' ').trim();
  const done = (result) => add(statements, text, performance.now() - startedMs, result?.rowCount ?? 0);
  const last = args.at(-1);
  if (typeof last === 'function') {
    args[args.length - 1] = (error, result) => {
      done(result);
      last(error, result);
    };
    return query.apply(this, args);
  }
  const returned = query.apply(this, args);
  returned?.then?.(done, done);
  return returned;
};

const startedAt = new WeakMap();
diagnostics.subscribe('http.client.request.start', ({ request }) => startedAt.set(request, performance.now()));
diagnostics.subscribe('http.client.response.finish', ({ request }) => {
  // Ids in paths are of no interest here.
  const path = request.path.split('?')[0].replace(/[0-9a-f]{8}-?[0-9a-f-]{20,}/gi, '{id}');
  add(requests, `${request.method} ${path}`, performance.now() - (startedAt.get(request) ?? performance.now()));
});

process.on('exit', () => {
  if (output === undefined) return;
  const { maxRSS, userCPUTime, systemCPUTime } = process.resourceUsage();
  const list = (totals) => [...totals].map(([name, total]) => ({ name, ...total })).sort((a, b) => b.ms - a.ms);
  writeFileSync(
    output,
    JSON.stringify({
      peakRssBytes: maxRSS * 1024,
      cpuSeconds: (userCPUTime + systemCPUTime) / 1e6,
      statements: list(statements),
      requests: list(requests),
    }),
  );
});
