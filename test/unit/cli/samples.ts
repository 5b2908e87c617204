import { Writable } from 'node:stream';
import type { CliContext, Engine } from '../../../src/cli/context.ts';
import type { OutputStream } from '../../../src/cli/output.ts';
import { createOutput } from '../../../src/cli/output.ts';
import { readEnvironment } from '../../../src/config/index.ts';
import type { IntegrationReport, Report } from '../../../src/model.ts';
import { createManualClock, type ManualClock } from '../../../src/observability/clock.ts';
import { createLogger } from '../../../src/observability/logger.ts';

export function integrationReport(name: IntegrationReport['name'], changes: Partial<IntegrationReport> = {}): IntegrationReport {
  return {
    name,
    outcome: 'succeeded',
    because: null,
    scopes: { complete: 1, partial: 0, failed: 0, notApplicable: 0 },
    read: 0,
    excluded: 0,
    quarantined: 0,
    created: 0,
    updated: 0,
    unchanged: 0,
    closed: 0,
    parked: 0,
    ...changes,
  };
}

export function reportOf(changes: Partial<Report> = {}): Report {
  return {
    deployment: 'production',
    run: '11111111-1111-4111-8111-111111111111',
    mode: 'sync',
    outcome: 'succeeded',
    integrations: [
      integrationReport('policies', { read: 357, created: 344 }),
      integrationReport('metadata', { read: 411, created: 1006, unchanged: 183 }),
      integrationReport('standards', { read: 1611, unchanged: 1269 }),
      integrationReport('assessments', { read: 1_234_567, created: 2, updated: 3, unchanged: 1_234_562 }),
      integrationReport('container-images'),
    ],
    calls: { azure: 38, serviceNowReads: 117, serviceNowWrites: 1355, serviceNowBookkeeping: 1 },
    seconds: 36.5,
    ...changes,
  };
}

export interface CollectedStream extends OutputStream {
  readonly text: () => string;
}

export function collectStream(options: { readonly isTTY?: boolean; readonly columns?: number } = {}): CollectedStream {
  let text = '';
  return { ...options, write: (chunk) => (text += chunk), text: () => text };
}

export interface TestContext {
  readonly context: CliContext;
  readonly stdout: CollectedStream;
  readonly stderr: CollectedStream;
  readonly clock: ManualClock;
}

/** A context whose output is collected and whose engine does nothing. */
export function createTestContext(changes: Partial<CliContext> & { readonly terminal?: boolean } = {}): TestContext {
  const stdout = collectStream({ isTTY: changes.terminal === true, columns: 200 });
  const stderr = collectStream({ isTTY: changes.terminal === true, columns: 200 });
  const clock = createManualClock(Date.parse('2026-11-22T10:00:00Z'));
  const engine: Engine = {
    startWorker: () => Promise.reject(new Error('no worker in this test')),
    runDoctor: () => Promise.reject(new Error('no doctor in this test')),
    requireMayChange: () => Promise.resolve(),
    findPairs: () => Promise.reject(new Error('no instance in this test')),
    listAttachments: () => Promise.reject(new Error('no instance in this test')),
    deleteAttachments: () => Promise.reject(new Error('no instance in this test')),
  };
  const context: CliContext = {
    environment: readEnvironment({}),
    output: createOutput({ stdout, stderr, noColor: false, dumbTerminal: false }),
    logger: createLogger({ destination: new Writable({ write: (_chunk, _encoding, done) => done() }) }),
    clock,
    interrupts: { signal: new AbortController().signal, wait: () => Promise.resolve(), dispose: () => undefined },
    engine,
    configFile: 'none.yaml',
    verbose: false,
    ...changes,
  };
  return { context, stdout, stderr, clock };
}
