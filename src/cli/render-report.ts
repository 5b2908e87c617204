/** The report of a run, for people. */
import type { IntegrationReport, Report, RunOutcome } from '../model.ts';
import type { Style } from './output.ts';
import { counted, formatCount, formatSeconds, tableLines, type Column } from './table.ts';

const columns: readonly Column[] = [
  { title: 'integration' },
  { title: 'outcome' },
  ...['read', 'created', 'updated', 'unchanged', 'closed', 'parked', 'excluded', 'quarantined'].map(
    (title) => ({ title, align: 'right' }) as const,
  ),
];

/** The report as lines of text: a headline, a table with one row per integration, what did not go well, what it took. */
export function renderReport(report: Report, style: Style): string {
  const rows = report.integrations.map((integration, index) => [
    `${index + 1} ${integration.name}`,
    outcomeText(integration.outcome, style),
    ...(
      [
        integration.read,
        integration.created,
        integration.updated,
        integration.unchanged,
        integration.closed,
        integration.parked,
        integration.excluded,
        integration.quarantined,
      ] as const
    ).map((count) => (integration.outcome === 'not-run' ? '' : count === 0 ? style.dim('–') : formatCount(count))),
  ]);
  const [head = '', ...body] = tableLines(columns, rows);
  const plan = report.mode === 'plan' ? ' · plan (nothing was sent)' : '';
  return [
    `${style.bold(report.deployment)} ${outcomeText(report.outcome, style)} in ${formatSeconds(report.seconds)}${plan}  ${style.dim(`run ${report.run}`)}`,
    '',
    ...[style.dim(head), ...body].map((line) => `  ${line}`),
    ...remarks(report.integrations, style).map((line) => `  ${line}`),
    '',
    `  ${summary(report)}`,
  ].join('\n');
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
  return lines.length === 0 ? [] : ['', ...lines];
}

function reasonOf({ because, scopes: { partial, failed, notApplicable } }: IntegrationReport): string {
  const scopes = [
    failed > 0 ? `${counted(failed, 'scope')} not read` : '',
    partial > 0 ? `${counted(partial, 'scope')} read in part` : '',
    notApplicable > 0 ? `${counted(notApplicable, 'scope')} without the plan for it` : '',
  ];
  return [because ?? '', ...scopes].filter((text) => text !== '').join('; ');
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
