import { describe, expect, test } from '@jest/globals';
import { renderDoctor } from '../../../src/cli/render/doctor.ts';
import { renderChanges } from '../../../src/cli/render/schedules.ts';
import { renderStatus } from '../../../src/cli/render/status.ts';
import { renderRun } from '../../../src/cli/render/run.ts';
import { orderedReport, renderReport } from '../../../src/cli/render/report.ts';
import { formatSeconds, plainText } from '../../../src/cli/table.ts';
import { collectStream, createTestContext, integrationReport, reportOf } from './samples.ts';
import { createOutput } from '../../../src/cli/output.ts';

const { style } = createTestContext().context.output;
const colourful = createTestContext({ terminal: true }).context.output;

describe('the report', () => {
  test('of a run that went well', () => {
    expect(renderReport(reportOf(), style)).toBe(
      [
        'production succeeded in 37 s  run 11111111-1111-4111-8111-111111111111',
        '',
        '  integration         outcome         read  created  updated  unchanged',
        '  1 policies          succeeded        357      344        –          –',
        '  2 metadata          succeeded        411    1,006        –        183',
        '  3 standards         succeeded      1,611        –        –      1,269',
        '  4 assessments       succeeded  1,234,567        2        3  1,234,562',
        '  5 container-images  succeeded          –        –        –          –',
        '',
        '  1,355 records written to ServiceNow. 38 requests to Azure, 117 reads from ServiceNow, 1 run record.',
      ].join('\n'),
    );
  });

  test('says what did not go well, each reason once, and only then shows its columns', () => {
    const report = reportOf({
      outcome: 'failed',
      integrations: [
        integrationReport('policies', {
          outcome: 'degraded',
          read: 5,
          quarantined: 2,
          scopes: { complete: 1, partial: 0, failed: 2, notApplicable: 0 },
        }),
        integrationReport('metadata', { because: 'the list is capped at 1,000' }),
        integrationReport('standards', { outcome: 'failed', because: 'no such table sn_vulc_citation\ninstall the plugin' }),
        integrationReport('assessments', { outcome: 'not-run', because: 'standards failed' }),
        integrationReport('container-images', { outcome: 'not-run', because: 'standards failed' }),
      ],
    });
    expect(renderReport(report, style).split('\n').slice(2)).toEqual([
      '  integration         outcome    read  created  updated  unchanged  quarantined',
      '  1 policies          degraded      5        –        –          –            2',
      '  2 metadata          succeeded     –        –        –          –            –',
      '  3 standards         failed        –        –        –          –            –',
      '  4 assessments       not-run',
      '  5 container-images  not-run',
      '  ',
      '  ! policies: 2 scopes not read',
      '  · metadata: the list is capped at 1,000',
      '  ! standards: no such table sn_vulc_citation',
      '    install the plugin',
      '  ! assessments, container-images: standards failed',
      '',
      '  1,355 records written to ServiceNow. 38 requests to Azure, 117 reads from ServiceNow, 1 run record.',
    ]);
  });

  test('of a second run', () => {
    const report = reportOf({ calls: { azure: 1, serviceNowReads: 2, serviceNowWrites: 0, serviceNowBookkeeping: 0 } });
    expect(renderReport(report, style)).toContain(
      'Nothing to write: ServiceNow was up to date. 1 request to Azure, 2 reads from ServiceNow.',
    );
  });

  test('of a plan', () => {
    expect(renderReport(reportOf({ mode: 'plan' }), style)).toContain('· plan (nothing was sent)');
  });

  test('has colours on a terminal, and the same text', () => {
    const coloured = renderReport(reportOf(), colourful.style);
    expect(coloured).toContain('\u001b[32msucceeded\u001b[39m');
    expect(coloured.replaceAll(/\u001b\[\d+m/g, '')).toBe(renderReport(reportOf(), style));
  });

  test('names what the instance refuses: how many, why, which for example, and what to do', () => {
    const report = reportOf({
      parkedRecords: [
        { table: 'sn_vul_nvd_entry', because: 'acl: refused', remedy: 'Give the role.', records: 1_204, keys: ['cve-1', 'cve-2'] },
        { table: 'sn_vulc_result', because: 'its cmdb_ci is parked itself', remedy: null, records: 1, keys: ['r'] },
      ],
      skippedColumns: [
        {
          table: 'sn_vulc_result',
          column: 'source_risk_score',
          behaviour: 'skipped',
          evidence: 'sent "High", came back empty',
          remedy: 'Open the ACL.',
          records: 12_000,
        },
        { table: 't', column: 'c', behaviour: 'undone', evidence: 'sent "a", came back "b" a little later', remedy: null, records: 0 },
      ],
    });
    const lines = renderReport(report, style)
      .split('\n')
      .map((line) => line.trim());
    expect(lines).toEqual(
      expect.arrayContaining([
        'parked sn_vul_nvd_entry: 1,204 records, acl: refused (cve-1, cve-2, …)',
        '→ Give the role.',
        'parked sn_vulc_result: 1 record, its cmdb_ci is parked itself (r)',
        'left out sn_vulc_result.source_risk_score: not kept by the instance (sent "High", came back empty), 12,000 records',
        'left out t.c: changed again by the instance (sent "a", came back "b" a little later), 0 records',
      ]),
    );
    expect(JSON.parse(JSON.stringify(orderedReport(report)))).toEqual(report);
  });

  test('lets no control characters of a service through', () => {
    const report = reportOf({ integrations: [integrationReport('policies', { because: 'bad \u001b[2J\u0007name' })] });
    expect(renderReport(report, style)).toContain('all: bad  [2J name');
  });

  test('as JSON has its keys in the order of the documentation', () => {
    const { deployment, ...rest } = reportOf();
    expect(JSON.stringify(orderedReport({ ...rest, deployment }))).toBe(JSON.stringify(reportOf()));
  });
});

describe('a run', () => {
  test('without a report', () => {
    const run = { deployment: 'a', outcome: 'cancelled', because: 'it was cancelled', report: undefined, page: undefined } as const;
    expect(renderRun(run, style)).toBe('a cancelled: it was cancelled');
  });

  test('whose preflight refused says why once', () => {
    const because = 'entra.sign-in: wrong secret → make a new one';
    const report = reportOf({ outcome: 'failed', integrations: [integrationReport('policies', { outcome: 'not-run', because })] });
    const text = renderRun({ deployment: 'a', outcome: 'failed', because, report, page: 'http://ui/run' }, style);
    expect(text.split(because)).toHaveLength(2);
    expect(text.split('\n').at(-1)).toBe('  http://ui/run');
  });

  test('whose reason is in no integration says it below', () => {
    const text = renderRun(
      { deployment: 'a', outcome: 'failed', because: 'the ledger is gone', report: reportOf(), page: undefined },
      style,
    );
    expect(text.split('\n').at(-1)).toBe('  ! the ledger is gone');
  });
});

test('status: one row per deployment, whatever is known of it', () => {
  const nowMs = Date.parse('2026-11-22T10:00:00Z');
  const none = { run: null, outcome: null, phase: null, startedAt: null, endedAt: null };
  const text = renderStatus(
    [
      {
        deployment: 'production',
        run: 'run-1',
        outcome: 'succeeded',
        phase: null,
        startedAt: '2026-11-22T09:00:00Z',
        endedAt: '2026-11-22T09:03:20Z',
      },
      { deployment: 'b', run: 'run-2', outcome: 'running', phase: 'assessments', startedAt: '2026-11-22T09:59:30Z', endedAt: null },
      { deployment: 'c', run: 'run-3', outcome: null, phase: null, startedAt: '2026-11-20T10:00:00Z', endedAt: null },
      { deployment: 'd', ...none },
      { deployment: 'e', ...none, phase: 'waiting for a worker' },
    ],
    style,
    nowMs,
  );
  expect(text).toBe(
    [
      'deployment  last run                started        took                  run',
      'production  succeeded               1 h 0 min ago  3 min 20 s            run-1',
      'b           running                 30 s ago       assessments           run-2',
      'c           ended without a report  2 d 0 h ago                          run-3',
      'd           no run yet',
      'e           running                                waiting for a worker',
    ].join('\n'),
  );
});

describe('doctor', () => {
  const ok = { check: 'entra.sign-in', verdict: 'ok', evidence: 'signed in', remedy: null } as const;
  const output = createOutput({ stdout: collectStream(), stderr: collectStream(), noColor: false, dumbTerminal: false });

  test('all well', () => {
    expect(renderDoctor('a', [ok], output).split('\n')[0]).toBe('a is ready to run');
  });

  test('the worst first, with its remedy', () => {
    const blocking = { check: 'servicenow.roles', verdict: 'blocking', evidence: 'a role is missing', remedy: 'grant it' } as const;
    const text = renderDoctor('a', [ok, blocking, { ...ok, check: 'x', verdict: 'warning', evidence: 'w' }], output);
    expect(text.split('\n')[0]).toBe('a would not run: a role is missing');
    expect(text.indexOf('servicenow.roles')).toBeLessThan(text.indexOf('entra.sign-in'));
    expect(text).toContain('→ grant it');
    expect(text).not.toContain('\u001b');
  });
});

test('schedules: what was done, or would be', () => {
  const changes = { created: ['s/a'], updated: ['s/b'], removed: ['s/c'], unchanged: ['s/d'] };
  expect(renderChanges(changes, false)).toBe('s/a  created\ns/b  updated\ns/c  removed\ns/d  unchanged');
  expect(renderChanges(changes, true)).toContain('s/a  would be created');
  expect(renderChanges({ created: [], updated: [], removed: [], unchanged: [] }, false)).toContain('No deployment has a schedule. Add one');
});

test.each([
  [0.44, '0.4 s'],
  [9.96, '10 s'],
  [59.4, '59 s'],
  [59.9, '1 min 0 s'],
  [200, '3 min 20 s'],
  [7500, '2 h 5 min'],
  [360_000, '4 d 4 h'],
])('%d seconds: %s', (seconds, expected) => {
  expect(formatSeconds(seconds)).toBe(expected);
});

test('plain text keeps lines and loses control characters', () => {
  expect(plainText('a\nb\u0000\u001b[31mc\u2028d\t')).toBe('a\nb [31mc d');
});
