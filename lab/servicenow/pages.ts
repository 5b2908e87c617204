import type { ApiResponse, ApiRequest } from './http.ts';
import { runQuery } from './query/evaluate.ts';
import { displayNameOf, displayValueOf } from './render.ts';
import { referenced } from './query/paths.ts';
import type { Column, Table } from './schema.ts';
import type { Row, Store } from './store.ts';
import { escapeHtml, layout } from './pages-layout.ts';

const PAGE_ROWS = 50;
const MAX_COLUMNS = 9;

/** What people come for, in the order of the five integrations; everything else follows below. */
const MAIN_TABLES = [
  ['Test groups and tests', ['sn_vulc_policy', 'sn_vulc_test', 'sn_vulc_policy_test']],
  ['Standards and controls', ['sn_vulc_auth_src', 'sn_vulc_citation']],
  ['Resources and results', ['sn_sec_cmn_src_ci', 'sn_vulc_result']],
  [
    'Container images',
    [
      'sn_vul_container_image',
      'sn_vul_container_image_package',
      'sn_vul_container_image_findings',
      'sn_vul_container_image_vulnerable_item',
      'sn_vul_container_finding_m2m_vul_item',
      'sn_vul_nvd_entry',
    ],
  ],
  ['CMDB', ['cmdb_ci_cmp_resource', 'cmdb_ci_cloud_service_account', 'cmdb_ci_logical_datacenter', 'cmdb_ci_docker_image', 'cmdb_rel_ci']],
  [
    'Integration',
    ['sn_sec_int_integration', 'sn_sec_int_impl', 'sn_vul_integration', 'sn_vul_integration_run', 'sn_sec_cmn_ci_lookup_rule'],
  ],
] as const;

/** Columns worth a place in a narrow table, best first. */
const USEFUL_COLUMNS = [
  'number',
  'id',
  'name',
  'image_name',
  'short_description',
  'section',
  'section_name',
  'source_id',
  'result',
  'state',
  'substate',
  'status',
  'severity',
  'control',
  'auth_src',
  'policy',
  'test',
  'cmdb_ci',
  'src_ci',
  'vulnerability',
  'discovered_container_image',
  'container_image',
  'finding',
  'vulnerable_item',
  'version',
  'parent',
  'type',
  'child',
  'object_id',
  'image_id',
  'repository',
  'matching_type',
  'cloud_region',
  'integration_instance',
  'run_as',
  'active',
  'source',
  'criticality',
  'last_seen',
  'last_pass',
  'sys_class_name',
];

/** The read-only pages under `/lab/`: what the demo points people to. They need no sign-in; the lab listens on loopback only. */
export function handlePages(store: Store, request: ApiRequest): ApiResponse {
  const [area, tableName, sysId, ...more] = request.path
    .split('/')
    .filter((part) => part !== '')
    .slice(1);
  if (area === undefined) return html(200, indexPage(store));
  if (area !== 'table' || tableName === undefined) return html(404, layout('Not found', '<p>There is no such page.</p>'));
  const table = store.schema.get(tableName);
  if (table === undefined || more.length > 0) return html(404, layout('Not found', '<p>There is no such table.</p>'));
  if (sysId === undefined) return html(200, tablePage(store, table, request.query));
  const row = store.find(table.name, sysId);
  return row === undefined ? html(404, layout('Not found', '<p>There is no such record.</p>')) : html(200, recordPage(store, row));
}

function html(status: number, body: string): ApiResponse {
  const headers = {
    'content-type': 'text/html;charset=UTF-8',
    'cache-control': 'no-store',
    'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'",
    'x-content-type-options': 'nosniff',
  };
  return { status, headers, body };
}

function indexPage(store: Store): string {
  const card = (title: string, names: readonly string[]): string => {
    const lines = names
      .map((name) => store.schema.get(name))
      .filter((table) => table !== undefined)
      .map(
        (table) =>
          `<tr><td><a href="/lab/table/${table.name}">${escapeHtml(table.label)}</a><small>${table.name}</small></td><td class="count">${countText(store.count(table.name))}</td></tr>`,
      );
    return `<section class="card"><h2>${escapeHtml(title)}</h2><table>${lines.join('')}</table></section>`;
  };
  const shown = new Set<string>(MAIN_TABLES.flatMap(([, names]) => [...names]));
  const others = [...store.schema.tables.keys()].filter((name) => !shown.has(name) && store.count(name) > 0).sort();
  const cards = [...MAIN_TABLES.map(([title, names]) => card(title, names)), card('Everything else', others)];
  return layout(
    'Tables',
    `<p class="lead">A local stand-in for a ServiceNow instance. These pages only show; nothing can be changed here.</p><div class="cards">${cards.join('')}</div>`,
  );
}

function tablePage(store: Store, table: Table, query: URLSearchParams): string {
  const search = query.get('search') ?? '';
  const rows = search === '' ? [...store.rows(table.name)] : searchRows(store, table, search);
  const pages = Math.max(1, Math.ceil(rows.length / PAGE_ROWS));
  const page = Math.min(Math.max(1, Math.trunc(Number(query.get('page') ?? '1')) || 1), pages);
  const visible = rows.slice((page - 1) * PAGE_ROWS, page * PAGE_ROWS);
  const columns = usefulColumns(table);
  const head = columns.map((column) => `<th title="${escapeHtml(column.name)}">${escapeHtml(column.label)}</th>`).join('');
  const body = visible.map((row) => rowLine(store, table, row, columns)).join('');
  const form = `<form method="get"><input type="search" name="search" value="${escapeHtml(search)}" placeholder="Search these records" aria-label="Search"><button>Search</button></form>`;
  const pager = pagerOf(page, pages, search);
  const empty =
    visible.length === 0
      ? '<p class="empty">No records.</p>'
      : `<div class="scroll"><table class="rows"><thead><tr>${head}<th>Updated (UTC)</th><th title="sys_mod_count">Version</th></tr></thead><tbody>${body}</tbody></table></div>`;
  return layout(
    table.label,
    `<p class="lead"><code>${table.name}</code> · ${countText(rows.length)} record${rows.length === 1 ? '' : 's'}${search === '' ? '' : ` with “${escapeHtml(search)}”`}</p>${form}${empty}${pager}`,
  );
}

function rowLine(store: Store, table: Table, row: Row, columns: Column[]): string {
  const cells = columns.map((column, index) => {
    const content = cell(store, table, row, column);
    // A short word is never broken; a long id has to be.
    return `<td${content.text.length > 24 ? ' class="long"' : ''}>${index === 0 ? `<a href="/lab/table/${row.table}/${row.sysId}">${content.text === '' ? row.sysId.slice(0, 8) : content.text}</a>` : content.html}</td>`;
  });
  return `<tr>${cells.join('')}<td class="when">${row.values['sys_updated_on'] ?? ''}</td><td class="count">${row.values['sys_mod_count'] ?? ''}</td></tr>`;
}

function recordPage(store: Store, row: Row): string {
  const table = store.schema.get(row.table);
  if (table === undefined) return layout('Not found', '<p>There is no such table.</p>');
  const lines = [...table.columns.values()]
    .filter((column) => store.valueOf(row, column) !== '' || !column.name.startsWith('sys_'))
    .filter((column) => row.values[column.name] !== undefined)
    .map(
      (column) =>
        `<tr><th>${escapeHtml(column.label)}<small>${escapeHtml(column.name)}</small></th><td>${cell(store, table, row, column, 4000).html}</td></tr>`,
    );
  const title = displayNameOf(store, row);
  return layout(
    title,
    `<p class="lead"><a href="/lab/table/${table.name}">${escapeHtml(table.label)}</a> · <code>${row.sysId}</code></p><table class="record">${lines.join('')}</table>`,
  );
}

function cell(store: Store, table: Table, row: Row, column: Column, maxLength = 90): { text: string; html: string } {
  const value = store.valueOf(row, column);
  // The pages need no sign-in: a secret is there, or not, and that is all they say.
  if (column.type === 'password2') return { text: value === '' ? '' : '••••', html: value === '' ? '' : '••••' };
  const owner = table.columns.get(column.name) === undefined ? table : (store.schema.get(row.table) ?? table);
  const display = column.type === 'glide_date_time' ? value : (displayValueOf(store, owner, column, value) ?? '');
  const cut = display.length > maxLength ? `${display.slice(0, maxLength)}…` : display;
  const text = escapeHtml(cut);
  const target = column.type === 'reference' ? referenced(store, column, value) : undefined;
  if (target !== undefined) return { text, html: `<a href="/lab/table/${target.table}/${target.sysId}">${text}</a>` };
  const tone = column.name === 'result' || column.name === 'state' ? ` class="tag ${escapeHtml(toneOf(display))}"` : '';
  return { text, html: tone === '' ? text : `<span${tone}>${text}</span>` };
}

function toneOf(display: string): string {
  if (/^(passed|closed|matched|complete|fixed)$/i.test(display)) return 'good';
  return /^(failed|open|unmatched)$/i.test(display) ? 'bad' : 'plain';
}

function usefulColumns(table: Table): Column[] {
  const names = table.display === undefined ? USEFUL_COLUMNS : [table.display, ...USEFUL_COLUMNS];
  const chosen = [...new Set(names)].flatMap((name) => table.columns.get(name) ?? []).slice(0, MAX_COLUMNS);
  return chosen.length > 2 ? chosen : [...table.columns.values()].filter(({ name }) => !name.startsWith('sys_')).slice(0, MAX_COLUMNS);
}

/** Text search over the columns shown; references are searched by what they show. */
function searchRows(store: Store, table: Table, search: string): Row[] {
  const wanted = search.toLowerCase();
  const columns = usefulColumns(table).filter(({ type }) => type !== 'password2');
  const all = runQuery(store, table, '', { userSysId: '', mayRead: () => true }).rows;
  return all.filter((row) =>
    columns.some((column) => {
      const value = store.valueOf(row, column);
      if (value.toLowerCase().includes(wanted)) return true;
      const target = column.type === 'reference' ? referenced(store, column, value) : undefined;
      return target !== undefined && displayNameOf(store, target).toLowerCase().includes(wanted);
    }),
  );
}

function pagerOf(page: number, pages: number, search: string): string {
  if (pages === 1) return '';
  const link = (target: number, label: string): string =>
    target < 1 || target > pages || target === page
      ? `<span>${label}</span>`
      : `<a href="?page=${String(target)}${search === '' ? '' : `&amp;search=${encodeURIComponent(search)}`}">${label}</a>`;
  return `<nav class="pager">${link(1, 'First')}${link(page - 1, 'Previous')}<b>Page ${String(page)} of ${countText(pages)}</b>${link(page + 1, 'Next')}${link(pages, 'Last')}</nav>`;
}

function countText(count: number): string {
  return count.toLocaleString('en-US');
}
