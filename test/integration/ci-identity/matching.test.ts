/** The matching table, played by the engine's own steps over the lab (design §5; servicenow.md §1.5, §4, §5.1). */
import { createHash } from 'node:crypto';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { assessmentOf, must, withEngine, type Row } from './engine.ts';
import { matchingRows, ruleSets, type MatchingRow, type RuleSet } from './matching.ts';

const engine = withEngine();

/** Names of rows outside of the table; their sys_ids are known before the rows are made. */
const shared: Record<string, string> = {};
interface Played extends MatchingRow {
  readonly number: string;
}
const rows: readonly Played[] = matchingRows.map((row, index) => {
  const number = String(500 + index);
  return { ...(numbered(row, number) as MatchingRow), number };
});

/** `{n}` everywhere, in either case, becomes the row's number; regular expressions stay what they are. */
function numbered(value: unknown, number: string): unknown {
  if (typeof value === 'string') return value.replaceAll(/\{n\}/gi, number);
  if (Array.isArray(value)) return value.map((one) => numbered(one, number));
  if (typeof value !== 'object' || value === null || value instanceof RegExp) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, numbered(one, number)]));
}

function sysIdOf(row: Played, label: string): string {
  return shared[label] ?? createHash('md5').update(`${row.number}/${label}`).digest('hex');
}

interface CiRow {
  readonly sys_id: string | null;
  readonly class_name: string | null;
  readonly state: string;
  readonly note: string | null;
  readonly reason: string | null;
  readonly key_text: string;
  readonly created_by_engine: boolean;
}

const findingsOf = new Map<RuleSet, readonly string[]>();
/** What came of it, by row number. */
const cis = new Map<string, CiRow>();
let items: readonly Row[] = [];
let quarantine: readonly { row_id: string | null; because: string }[] = [];
let relations: readonly Row[] = [];
let cmdb: ReadonlyMap<string, Row> = new Map();
let heldBefore: ReadonlySet<string> = new Set();

beforeAll(async () => {
  await engine.observe('one', []);
  const one = must((await engine.rows('sn_sec_int_impl')).find((row) => row['name'] === 'defender-sync one'));
  shared['one'] = must(one['sys_id']);
  shared['other'] = must((await engine.insert('sn_sec_int_impl', { name: 'another', integration: must(one['integration']) }))['sys_id']);
  const integrations = await engine.rows('sn_sec_int_integration');
  shared['defender'] = must(integrations.find((row) => row['name'] === 'Microsoft Defender for Cloud')?.['sys_id']);
  shared['qualys'] = must((await engine.insert('sn_sec_int_integration', { name: 'Qualys' }))['sys_id']);
  await putInDomain();
  await holdAll();
  heldBefore = new Set((await engine.rows('cmdb_ci')).map((row) => must(row['sys_id'])));
  for (const rules of new Set(rows.map(rulesOf))) await play(rules);
  await readWhatCame();
}, 120_000);

const rulesOf = (row: MatchingRow): RuleSet => row.rules ?? 'shipped';

/** The integration user lies in a domain of its own; the admin API sets no system columns. */
async function putInDomain(): Promise<void> {
  const { store } = engine.lab.lab;
  const group = async (name: string): Promise<string> => must((await engine.insert('sys_user_group', { name }))['sys_id']);
  shared['foreign'] = await group('Foreign');
  const own = await group('Own');
  const user = must([...store.rows('sys_user')].find((row) => row.values['user_name'] === 'defender.sync'));
  store.update(user, { sys_domain: own }, 'admin');
}

async function holdAll(): Promise<void> {
  for (const row of rows) {
    for (const holding of row.holds ?? []) {
      // "Oldest" must be told by the second.
      engine.lab.clock.advance(1_000);
      const { sys_domain: domain, ...values } = Object.fromEntries(
        Object.entries(holding.values).map(([name, value]) => [name, value.startsWith('@') ? sysIdOf(row, value.slice(1)) : value]),
      );
      const sysId = sysIdOf(row, holding.label);
      await engine.insert(holding.table, { ...values, sys_id: sysId });
      const { store } = engine.lab.lab;
      if (domain !== undefined) store.update(must(store.find(holding.table, sysId)), { sys_domain: domain }, 'admin');
    }
  }
}

async function play(rules: RuleSet): Promise<void> {
  if (rules !== 'shipped') {
    for (const old of await engine.rows('sn_sec_cmn_ci_lookup_rule')) await engine.remove('sn_sec_cmn_ci_lookup_rule', must(old['sys_id']));
    for (const rule of rules === 'none readable' ? [] : ruleSets[rules]) {
      const source = must(shared[must(rule['source']).slice(1)]);
      await engine.insert('sn_sec_cmn_ci_lookup_rule', { ...rule, source });
    }
  }
  const assessments = rows.filter((row) => rulesOf(row) === rules).map(({ id, details }) => assessmentOf(id, details));
  await engine.run('one', assessments);
  findingsOf.set(
    rules,
    engine.findings.filter(({ check }) => check === 'servicenow.ci-lookup-rules').map(({ evidence }) => evidence),
  );
}

async function readWhatCame(): Promise<void> {
  const { database } = engine.context.ledger;
  for (const ci of await database.query<CiRow>('SELECT * FROM ci', [])) cis.set(ci.key_text, ci);
  quarantine = await database.query('SELECT row_id, because FROM quarantine', []);
  items = await engine.rows('sn_sec_cmn_src_ci');
  relations = await engine.rows('cmdb_rel_ci');
  cmdb = new Map((await engine.rows('cmdb_ci')).map((row) => [must(row['sys_id']), row]));
}

/** The own discovered item of a row, by the number that is in all its ids. */
function itemOf(row: Played): Row | undefined {
  const own = items.filter((item) => item['source'] === shared['one']);
  return own.find((item) => hasNumber(item['source_id'] ?? '', row));
}

function hasNumber(text: string, { number, id }: Played): boolean {
  const digest = /sha256:([0-9a-f]{64})$/.exec(id)?.[1];
  if (digest !== undefined) return text.includes(digest);
  // A digest holds any number by chance.
  return !/^image:|sha256:/.test(text) && new RegExp(`(?<!\\d)\\d*?${number}(?!\\d)`).test(text);
}

function ciOf(row: Played): CiRow | undefined {
  return [...cis].find(([key]) => hasNumber(key, row))?.[1];
}

test('the table has at least 60 rows, each with ids of its own', () => {
  expect(rows.length).toBeGreaterThanOrEqual(60);
  expect(new Set(rows.map(({ id }) => id.toLowerCase())).size).toBe(rows.length);
});

describe.each(rows.map((row): [string, Played] => [`${row.number} ${row.what}`, row]))('%s', (_name, row) => {
  const { expected } = row;
  if ('quarantined' in expected) {
    test('is quarantined with the reason', () => {
      expect(ciOf(row)).toBeUndefined();
      expect(quarantine.filter(({ row_id: id }) => id?.includes(row.number)).map(({ because }) => because)).toEqual([
        expect.stringMatching(expected.quarantined),
      ]);
    });
    return;
  }
  if ('parked' in expected) {
    test('is parked with the reason, and has no item', () => {
      expect(ciOf(row)).toMatchObject({ state: 'parked', reason: expect.stringMatching(expected.parked) });
      expect(itemOf(row)).toBeUndefined();
    });
    return;
  }
  test(`${expected.ci === 'new' ? 'a new' : 'the held'} ${expected.class}`, () => {
    const ci = must(ciOf(row));
    expect(ci.class_name).toBe(expected.class);
    const isNew = expected.ci === 'new';
    if (!isNew) expect(ci.sys_id).toBe(sysIdOf(row, expected.ci));
    expect(heldBefore.has(must(ci.sys_id ?? undefined))).toBe(!isNew);
    expect(ci.created_by_engine).toBe(isNew);
    expect(cmdb.get(must(ci.sys_id ?? undefined))).toMatchObject({ sys_class_name: expected.class });
    if (expected.note === undefined) expect(ci.note).toBeNull();
    else expect(ci.note).toMatch(expected.note);
    const item = must(itemOf(row));
    expect(item['cmdb_ci']).toBe(ci.sys_id);
    expect(item['matching_type'] ?? '').toBe(expected.matchingType === 'kept' ? 'matched_by_ire' : expected.matchingType);
    if (expected.hostedOn !== undefined) {
      const host = relations.find((relation) => relation['parent'] === ci.sys_id)?.['child'];
      expect(cmdb.get(must(host))?.['object_id']).toBe(expected.hostedOn);
    }
  });
});

test('rules that cannot be evaluated are named, with the reason', () => {
  expect(findingsOf.get('shipped')).toEqual([]);
  expect(findingsOf.get('own rules')).toEqual([
    expect.stringMatching(/"By script" is passed over: it is a script/),
    expect.stringMatching(/"Database by script condition" is passed over: its condition has a part/),
  ]);
});

test('nothing is created beside what the table says', () => {
  const made = rows.filter(({ expected }) => 'ci' in expected && expected.ci === 'new');
  const classes = new Set([
    'cmdb_ci_cmp_resource',
    'cmdb_ci_docker_image',
    ...made.map(({ expected }) => ('class' in expected ? expected.class : '')),
  ]);
  const own = [...cmdb.values()].filter((row) => !heldBefore.has(must(row['sys_id'])) && classes.has(must(row['sys_class_name'])));
  const known = new Set([...cis.values()].map((ci) => ci.sys_id));
  // Accounts that stand in a payload as parents are no resource's CI.
  const parents = own.filter((row) => !known.has(must(row['sys_id'])));
  expect(parents.every((row) => row['sys_class_name'] === 'cmdb_ci_cloud_service_account')).toBe(true);
  expect(own.length - parents.length).toBe(made.length);
});
