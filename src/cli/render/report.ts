/** The report of a run, for people. */
import type { IntegrationReport, Report, RunOutcome } from '../../model.ts';
import type { Style } from '../output.ts';
import { counted, formatCount, formatSeconds, plainText, tableLines, type Column } from '../table.ts';

const counts = ['read', 'created', 'updated', 'unchanged', 'closed', 'parked', 'excluded', 'quarantined'] as const;
type Count = (typeof counts)[number];
/** What is mostly nought is shown where it is not. */
const alwaysShown: ReadonlySet<Count> = new Set(['read', 'created', 'updated', 'unchanged']);

/** The report as lines of text: a headline, a table with one row per integration, what did not go well, what it took. */
export function renderReport(report: Report, style: Style): string {
  const shown = counts.filter((count) => alwaysShown.has(count) || report.integrations.some((integration) => integration[count] > 0));
  const rows = report.integrations.map((integration, index) => [
    `${index + 1} ${integration.name}`,
    outcomeText(integration.outcome, style),
    ...shown.map((count) => countText(integration, count, style)),
  ]);
  const columns: readonly Column[] = [
    { title: 'integration' },
    { title: 'outcome' },
    ...shown.map((title) => ({ title, align: 'right' }) as const),
  ];
  const [head = '', ...body] = tableLines(columns, rows);
  const plan = report.mode === 'plan' ? ' · plan (nothing was sent)' : '';
  return [
    `${style.bold(report.deployment)} ${outcomeText(report.outcome, style)} in ${formatSeconds(report.seconds)}${plan}  ${style.dim(`run ${report.run}`)}`,
    '',
    ...[style.dim(head), ...body].map((line) => `  ${line}`),
    ...remarks(report.integrations, style).map((line) => `  ${line}`),
    ...refusals(report, style).map((line) => `  ${line}`),
    '',
    `  ${summary(report)}`,
  ].join('\n');
}

function countText(integration: IntegrationReport, count: Count, style: Style): string {
  if (integration.outcome === 'not-run') return '';
  return integration[count] === 0 ? style.dim('–') : formatCount(integration[count]);
}

/** What did not go as it should, each reason once with the integrations that give it. */
function remarks(integrations: readonly IntegrationReport[], style: Style): string[] {
  const saying = new Map<string, IntegrationReport[]>();
  for (const integration of integrations) {
    const because = reasonOf(integration);
    if (because !== '') saying.set(because, [...(saying.get(because) ?? []), integration]);
  }
  const lines = [...saying].flatMap(([because, those]) => {
    const worst = those.find(({ outcome }) => outcome === 'failed') ?? those.find(({ outcome }) => outcome === 'degraded') ?? those[0];
    const mark = worst === undefined || worst.outcome === 'succeeded' ? style.dim('·') : outcomeText('!', style, worst.outcome);
    const names = those.length === integrations.length ? 'all' : those.map(({ name }) => name).join(', ');
    return because.split('\n').map((line, index) => (index === 0 ? `${mark} ${names}: ${line}` : `  ${line}`));
  });
  const notes = integrations.flatMap(({ name, notes: said = [] }) => said.map((note) => `${style.dim('·')} ${name}: ${plainText(note)}`));
  return lines.length + notes.length === 0 ? [] : ['', ...lines, ...notes];
}

/** What the instance does not take: how many, why, which for example, and what to do. */
function refusals({ parkedRecords = [], skippedColumns = [] }: Report, style: Style): string[] {
  const remedyLine = (remedy: string | null): string[] => (remedy === null ? [] : [style.dim(`    → ${plainText(remedy)}`)]);
  const parked = parkedRecords.flatMap(({ table, because, remedy, records, keys }) => {
    const more = records > keys.length ? ', …' : '';
    return [
      `${style.warning('parked')} ${table}: ${counted(records, 'record')}, ${plainText(because)} (${plainText(keys.join(', '))}${more})`,
      ...remedyLine(remedy),
    ];
  });
  const skipped = skippedColumns.flatMap(({ table, column, behaviour, evidence, remedy, records }) => {
    const how = behaviour === 'undone' ? 'changed again by the instance' : 'not kept by the instance';
    return [
      `${style.warning('left out')} ${table}.${column}: ${how} (${plainText(evidence)}), ${counted(records, 'record')}`,
      ...remedyLine(remedy),
    ];
  });
  const lines = [...parked, ...skipped];
  return lines.length === 0 ? [] : ['', ...lines];
}

function reasonOf({ because, scopes: { partial, failed, notApplicable } }: IntegrationReport): string {
  const scopes = [
    failed > 0 ? `${counted(failed, 'scope')} not read` : '',
    partial > 0 ? `${counted(partial, 'scope')} read in part` : '',
    notApplicable > 0 ? `${counted(notApplicable, 'scope')} without the plan for it` : '',
  ];
  return [plainText(because ?? ''), ...scopes].filter((text) => text !== '').join('; ');
}

function summary({ calls, mode }: Report): string {
  const traffic = `${counted(calls.azure, 'request')} to Azure, ${counted(calls.serviceNowReads, 'read')} from ServiceNow`;
  const bookkeeping = calls.serviceNowBookkeeping === 0 ? '' : `, ${counted(calls.serviceNowBookkeeping, 'run record')}`;
  if (mode === 'plan') return `${traffic}.`;
  const written =
    calls.serviceNowWrites === 0
      ? 'Nothing to write: ServiceNow was up to date.'
      : `${counted(calls.serviceNowWrites, 'record')} written to ServiceNow.`;
  return `${written} ${traffic}${bookkeeping}.`;
}

/** An outcome in its colour; `text` is shown in the colour of `of`. */
export function outcomeText(text: string, style: Style, of: string = text): string {
  const known: Readonly<Record<RunOutcome | 'not-run' | 'running', (text: string) => string>> = {
    succeeded: style.good,
    degraded: style.warning,
    parked: style.warning,
    cancelled: style.warning,
    failed: style.bad,
    'not-run': style.dim,
    running: style.bold,
  };
  return of in known ? known[of as keyof typeof known](text) : text;
}

/** The report with its keys in the order in which people read them; the ledger does not keep an order. */
export function orderedReport(report: Report): Report {
  const { deployment, run, mode, outcome, integrations, calls, seconds, parkedRecords, skippedColumns } = report;
  return {
    deployment,
    run,
    mode,
    outcome,
    integrations: integrations.map(({ name, outcome: how, because, scopes, notes, ...numbers }) => ({
      name,
      outcome: how,
      because,
      scopes: { complete: scopes.complete, partial: scopes.partial, failed: scopes.failed, notApplicable: scopes.notApplicable },
      ...orderedCounts(numbers),
      ...(notes !== undefined && { notes }),
    })),
    calls: {
      azure: calls.azure,
      serviceNowReads: calls.serviceNowReads,
      serviceNowWrites: calls.serviceNowWrites,
      serviceNowBookkeeping: calls.serviceNowBookkeeping,
    },
    seconds,
    ...(parkedRecords === undefined ? {} : { parkedRecords: parkedRecords.map(orderedParked) }),
    ...(skippedColumns === undefined ? {} : { skippedColumns: skippedColumns.map(orderedSkipped) }),
  };
}

type Parked = NonNullable<Report['parkedRecords']>[number];
function orderedParked({ table, because, remedy, records, keys }: Parked): Parked {
  return { table, because, records, keys, remedy };
}

type Skipped = NonNullable<Report['skippedColumns']>[number];
function orderedSkipped({ table, column, behaviour, evidence, records, remedy }: Skipped): Skipped {
  return { table, column, behaviour, evidence, records, remedy };
}

function orderedCounts(numbers: Pick<IntegrationReport, Count>): Pick<IntegrationReport, Count> {
  const { read, excluded, quarantined, created, updated, unchanged, closed, parked } = numbers;
  return { read, excluded, quarantined, created, updated, unchanged, closed, parked };
}
