/** The story of a resource, for people. */
import type { CiStory, MatchEvent, RecordStory, ResourceStory, ScanStory, Sighting, WriteStory } from '../../ledger/index.ts';
import type { CiMatch } from '../../model.ts';
import type { Style } from '../output.ts';
import { counted, plainText, tableLines } from '../table.ts';

/** Of a list that goes on in the same way, so many are shown. */
const shownRows = 25;

export function renderStory(story: ResourceStory, instanceUrl: string, style: Style): string {
  return [
    ...headline(story, instanceUrl, style),
    ...section(style, 'Seen by (times are UTC)', seenBy(story, style)),
    ...section(style, 'Which CI it is', matches(story.ci, style)),
    ...section(style, 'What was written for it', writes(story, style)),
    ...section(style, 'On the instance now', records(story, style)),
    ...section(style, 'Parked or quarantined', obstacles(story, style)),
  ].join('\n');
}

function section(style: Style, title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ['', style.bold(title), ...lines.map((line) => `  ${line}`)];
}

function headline({ ids, ci, seenBy: sightings }: ResourceStory, instanceUrl: string, style: Style): string[] {
  const [id = '', ...more] = ids;
  const others = more.length === 0 ? [] : [style.dim(`  also called ${more.join(', ')}`)];
  const what = ci === null ? [] : [`  ${kindOf(ci)}`];
  return [style.bold(plainText(id)), ...others, ...what, `  ${ciSentence(ci, instanceUrl, sightings, style)}`];
}

function kindOf({ identity }: CiStory): string {
  if (identity.type === 'image') return `a container image, ${plainText(identity.name)}`;
  const where = [
    identity.cloud,
    ...(identity.accountId === undefined
      ? []
      : [`account ${identity.accountId}${identity.accountName === undefined ? '' : ` (${identity.accountName})`}`]),
    identity.region ?? 'no region',
  ];
  return plainText(`${identity.resourceType} in ${where.join(', ')}`);
}

function ciSentence(ci: CiStory | null, instanceUrl: string, sightings: readonly Sighting[], style: Style): string {
  if (ci === null) {
    return sightings.length === 0
      ? style.warning('has no CI: every row about it is quarantined')
      : style.warning('has no CI: nothing that applies to it makes a record');
  }
  if (ci.state === 'parked') return style.bad(`has no CI: ${plainText(ci.reason ?? 'parked')}`);
  if (ci.state === 'wanted') return style.warning(`its CI is not settled yet${ci.reason === null ? '' : `: ${plainText(ci.reason)}`}`);
  const shared =
    ci.alsoStandsFor.count === 0
      ? ''
      : `; it also stands for ${counted(ci.alsoStandsFor.count, 'other resource')}: ${ci.alsoStandsFor.ids.join(', ')}`;
  // A CI that was chosen, or found again later, may still be one that the engine made.
  const origin = ci.createdByEngine && ci.match !== 'reconciled' && ci.match !== 'created-by-ire' ? ', created by this engine' : '';
  return plainText(`is ${ci.className ?? 'a CI'} ${ci.sysId ?? ''} on ${instanceUrl}: ${matchWords(ci.match)}${origin}${shared}`);
}

function matchWords(match: CiMatch | null): string {
  switch (match) {
    case 'discovered-item':
      return 'found through a discovered item';
    case 'lookup-rule':
      return 'found by a lookup rule';
    case 'matched-by-ire':
      return 'matched by the identification engine';
    case 'created-by-ire':
      return 'created by this engine';
    case 'reconciled':
      return 'chosen by a reconcile';
    case null:
      return 'matched';
  }
}

function seenBy({ seenBy: sightings }: ResourceStory, style: Style): string[] {
  if (sightings.length === 0) return ['nobody: no row about it could be used'];
  const told = new Map<string, string>();
  return sightings.flatMap((sighting) => {
    const rows = observedLines(sighting, style);
    const before = told.get(rows.join('\n'));
    if (before === undefined) told.set(rows.join('\n'), sighting.deployment);
    return [
      `${style.bold(sighting.deployment)}  first ${time(sighting.firstSeenAt, 'before this was noted')}, last ${time(sighting.lastSeenAt, 'in none of the kept scans')}`,
      ...scanLines(sighting, style),
      ...(before === undefined || rows.length === 0 ? rows : [`  as ${before} does`]),
    ];
  });
}

/** One line for each list: how it was read the last time, and in which of the kept runs the resource was in it. */
function scanLines({ scans }: Sighting, style: Style): string[] {
  const lists = new Map<string, ScanStory[]>();
  for (const scan of scans) {
    const name = `${scan.readName} of ${scan.scope.kind} ${scan.scope.id}`;
    lists.set(name, [...(lists.get(name) ?? []), scan]);
  }
  return [...lists].flatMap(([name, list]) => {
    const [newest] = list;
    if (newest === undefined) return [];
    const said = newest.because === null ? '' : ` (${plainText(newest.because)})`;
    const seen = newest.rows === 0 ? style.warning('it is not in it any more') : counted(newest.rows, 'row');
    const inAll = list.length === 1 ? '' : `; in ${list.filter(({ rows }) => rows > 0).length} of the last ${list.length} scans`;
    const state = newest.state === 'complete' ? newest.state : style.warning(newest.state);
    return [`  ${name}: ${state}${said}, ${seen}${inAll}  ${style.dim(`run ${newest.run}`)}`];
  });
}

function observedLines({ observed }: Sighting, style: Style): string[] {
  const assessed = observed.filter(({ body }) => typeof body['status'] === 'string');
  const rows = assessed.slice(0, shownRows).map(({ body, excluded, id }) => {
    const cause = textOf(body['cause']) === undefined ? '' : ` (${textOf(body['cause']) ?? ''})`;
    const name = textOf(body['name']) ?? textOf(body['test']) ?? id;
    const left = excluded === null ? '' : style.dim(`  makes no record: ${plainText(excluded)}`);
    return `  ${statusText(textOf(body['status']) ?? '', style)}  ${plainText(`${name}${cause}`)}${left}`;
  });
  return assessed.length <= shownRows ? rows : [...rows, `  … and ${counted(assessed.length - shownRows, 'more row')}`];
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function statusText(status: string, style: Style): string {
  const padded = status.padEnd('NotApplicable'.length);
  if (status === 'Healthy') return style.good(padded);
  return status === 'Unhealthy' ? style.bad(padded) : style.dim(padded);
}

function matches(ci: CiStory | null, style: Style): string[] {
  if (ci === null) return [];
  if (ci.history.length === 0) return ['matched before the history was kept'];
  return ci.history.map(
    (event) => `${time(event.at)}  ${matchText(event, style)}  ${style.dim(`run ${event.run} of ${event.deployment}`)}`,
  );
}

function matchText({ what, sysId, className, match, evidence }: MatchEvent, style: Style): string {
  const told = evidence === null ? '' : plainText(evidence);
  if (what === 'parked') return style.warning(`parked: ${told}`);
  const how = what === 'matched' ? `${matchWords(match)}${told === '' ? '' : ` (${told})`}` : `${what}: ${told}`;
  return `${className ?? 'a CI'} ${sysId ?? ''}  ${how}`;
}

interface Told {
  readonly record: RecordStory;
  readonly write: WriteStory;
}

/** By run, oldest first: what was done in it. */
function writes({ records: all, seenBy: sightings }: ResourceStory, style: Style): string[] {
  const labels = testNames(sightings);
  const byRun = new Map<string, Told[]>();
  const told = all.flatMap((record) => record.writes.map((write): Told => ({ record, write })));
  told.sort((left, right) => left.write.at.localeCompare(right.write.at) || left.record.table.localeCompare(right.record.table));
  for (const one of told) byRun.set(one.write.run, [...(byRun.get(one.write.run) ?? []), one]);
  if (byRun.size === 0) return all.length === 0 ? [] : ['nothing in the time for which history is kept'];
  return [...byRun].flatMap(([run, list]) => [
    `${time(list[0]?.write.at ?? null)}  ${style.bold(list[0]?.write.deployment ?? '')}  ${summaryOf(list)}  ${style.dim(`run ${run}`)}`,
    ...writeLines(list, labels, style).map((line) => `  ${line}`),
  ]);
}

/** A line for each write; those with a reason stand together below it. */
function writeLines(list: readonly Told[], labels: ReadonlyMap<string, string>, style: Style): string[] {
  const plain = list.filter(({ write }) => write.reason === null);
  const rows = plain
    .slice(0, shownRows)
    .map(({ record, write }) => [write.what, record.table, write.sysId ?? '', plainText(labelOf(record, labels))]);
  const lines = tableLines([{ title: '' }, { title: '' }, { title: '' }, { title: '' }], rows).slice(1);
  const withReason = groupedBy(
    list.filter(({ write }) => write.reason !== null),
    ({ record, write }) => `${write.what}\n${record.table}\n${write.reason ?? ''}`,
  );
  return [
    ...lines,
    ...(plain.length > shownRows ? [`… and ${counted(plain.length - shownRows, 'more write')}`] : []),
    ...withReason.map(([first, ...more]) => {
      const what = first?.write.what ?? '';
      const told = `${more.length + 1} × ${first?.record.table ?? ''}: ${first?.write.reason ?? ''}`;
      return `${what === 'parked' ? style.warning(what) : what}  ${plainText(told)}`;
    }),
  ];
}

function groupedBy<Item>(items: readonly Item[], keyOf: (item: Item) => string): Item[][] {
  const groups = new Map<string, Item[]>();
  for (const item of items) groups.set(keyOf(item), [...(groups.get(keyOf(item)) ?? []), item]);
  return [...groups.values()];
}

function summaryOf(list: readonly Told[]): string {
  const counts = new Map<string, number>();
  for (const { write } of list) counts.set(write.what, (counts.get(write.what) ?? 0) + 1);
  return [...counts].map(([what, count]) => `${count} ${what}`).join(', ');
}

function testNames(sightings: readonly Sighting[]): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  for (const { observed } of sightings) {
    for (const { body } of observed)
      if (typeof body['test'] === 'string' && typeof body['name'] === 'string') names.set(body['test'], body['name']);
  }
  return names;
}

/** What a person calls the record: the test of a result, else the end of its key. */
function labelOf({ fields, key }: RecordStory, labels: ReadonlyMap<string, string>): string {
  const control = fields['control'];
  const test = control !== null && typeof control === 'object' && 'record' in control ? control.record.key : undefined;
  return (test === undefined ? undefined : labels.get(test)) ?? key.slice(Math.max(key.lastIndexOf('|'), key.lastIndexOf('/')) + 1);
}

/** Records that are in the same state and have the same owners, counted; each of them stands with its writes, and in the JSON. */
function records({ records: all }: ResourceStory, style: Style): string[] {
  const groups = groupedBy(all, ({ state, table, owners }) => [state, table, ...owners].join('\n'));
  const rows = groups.map((group) => {
    const [first] = group;
    if (first === undefined) return [];
    return [stateText(first, style), String(group.length), first.table, first.owners.join(', ')];
  });
  if (rows.length === 0) return [];
  const [head = '', ...body] = tableLines(
    [{ title: 'state' }, { title: 'records', align: 'right' }, { title: 'table' }, { title: 'seen by' }],
    rows,
  );
  return [style.dim(head), ...body];
}

function stateText({ state }: RecordStory, style: Style): string {
  if (state === 'published') return style.good(state);
  return state === 'absent' ? style.dim(state) : style.warning(state);
}

function obstacles({ records: all, quarantined, seenBy: sightings }: ResourceStory, style: Style): string[] {
  const labels = testNames(sightings);
  const parked = groupedBy(
    all.filter(({ state }) => state === 'parked'),
    ({ table, owners, reason }) => [table, ...owners, reason ?? ''].join('\n'),
  );
  return [
    ...parked.flatMap((group) => {
      const [first] = group;
      if (first === undefined) return [];
      const reason = plainText(`${group.length} × ${first.table} of ${first.owners.join(', ')}: ${first.reason ?? 'no reason was kept'}`);
      const names = group.slice(0, shownRows).map((record) => plainText(labelOf(record, labels)));
      return [`${style.warning('parked')}  ${reason}`, ...names.map((name) => `  ${name}`)];
    }),
    ...quarantined.map(
      ({ deployment, readName, rowId, because, run }) =>
        `${style.warning('quarantined')}  ${plainText(`${deployment}, ${readName}, row ${rowId}: ${because}`)}  ${style.dim(`run ${run}`)}`,
    ),
  ];
}

/** `2026-11-22 10:00:05`, UTC. */
function time(iso: string | null, otherwise = ''): string {
  return iso === null ? otherwise : iso.slice(0, 19).replace('T', ' ');
}
