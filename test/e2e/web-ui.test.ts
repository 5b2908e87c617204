/**
 * What a person sees of runs in Temporal's Web UI, through a browser: the list, a run that went well, and one that is parked.
 * The pictures are kept in .defender-sync/screenshots. Without a Chromium on the machine (apt-get install chromium) this is skipped.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { integrationOrder, integrationWorkflowId, syncWorkflowId } from '../../workflows/contract.ts';
import { withPostgres } from '../integration/servers.ts';
import { findChromium, startBrowser, type Browser, type Page } from './browser.ts';
import { createEngine, startLab, type Engine, type Lab, type WorkerProcess } from './harness.ts';
import { withOwnNamespace } from './own-namespace.ts';

const chromium = findChromium();
const screenshotsDir = fileURLToPath(new URL('../../.defender-sync/screenshots/', import.meta.url));

(chromium === undefined ? describe.skip : describe)('the Web UI, seen with Chromium', () => {
  const postgres = withPostgres();
  const temporal = withOwnNamespace('company');
  let lab: Lab;
  let engine: Engine;
  let worker: WorkerProcess;
  let browser: Browser;
  let page: Page;
  /** The deployment that ran well, and the one whose permissions were added as Delegated. */
  let good: string;
  let refused: string;

  beforeAll(async () => {
    lab = await startLab('generated:7:500');
    const { address: temporalAddress, namespace } = temporal;
    const settings = { ledgerUrl: postgres.url, temporalAddress, namespace, taskQueue: 'defender-sync' };
    engine = await createEngine(lab, settings, { incidents: true });
    [good = '', refused = ''] = engine.deployments;
    const clientId = lab.file.azure.tenants[1]?.clientId;
    await lab.admin('POST', '/azure/change', { consent: { clientId, state: 'delegated-only', directoryReader: true } });
    worker = await engine.startWorker();
    expect((await engine.cli('sync', good)).code).toBe(0);
    expect((await engine.cli('sync', refused)).code).toBe(4);
    browser = await startBrowser(chromium ?? '');
    page = await browser.open({ width: 1440, height: 900 });
    await mkdir(screenshotsDir, { recursive: true });
  }, 300_000);

  afterAll(async () => {
    await browser.close();
    await worker.stop();
    await engine.remove();
    await lab.stop();
  }, 60_000);

  async function open(path: string): Promise<void> {
    await page.goTo(`${temporal.uiUrl}/namespaces/${temporal.namespace}/workflows${path}`);
  }

  async function pageOf(workflowId: string, tab: string): Promise<string> {
    const { runId } = await temporal.client.workflow.getHandle(workflowId).describe();
    return `/${encodeURIComponent(workflowId)}/${runId}/${tab}`;
  }

  async function keepPicture(name: string): Promise<void> {
    const png = await page.screenshot();
    expect(png.subarray(1, 4).toString()).toBe('PNG');
    await writeFile(join(screenshotsDir, `${name}.png`), png);
  }

  test('the list names every run and its integrations, and finds those that wait for a person', async () => {
    await open('');
    const ids = [syncWorkflowId(good), syncWorkflowId(refused), ...integrationOrder.map((name) => integrationWorkflowId(good, name))];
    await page.untilShows([...ids, 'syncDeployment', 'runIntegration', 'COMPLETED']);
    await keepPicture('list');
    await open(`?query=${encodeURIComponent('DefenderSyncPhase = "parked"')}`);
    const shown = await page.untilShows([syncWorkflowId(refused), '1–1']);
    expect(shown).not.toContain(syncWorkflowId(good));
    await open(
      `?query=${encodeURIComponent(`DefenderSyncBlockedBy = "graph.incident-permissions" AND DefenderSyncDeployment = "${refused}"`)}`,
    );
    await page.untilShows([syncWorkflowId(refused), '1–1']);
  }, 120_000);

  test('a run that went well says what it is and what it did', async () => {
    await open(await pageOf(syncWorkflowId(good), 'user-metadata'));
    const shown = await page.untilShows([`Sync ${good} (cli)`, `Reads ${good} from Microsoft Defender for Cloud`, `${good} · succeeded`]);
    const counts = integrationOrder.map((name) => new RegExp(`^${name} +succeeded +(\\d+) +(\\d+) +0$`, 'm').exec(shown));
    for (const found of counts) expect(Number(found?.[1])).toBeGreaterThan(0);
    await keepPicture('run');
    await open(await pageOf(syncWorkflowId(good), 'search-attributes'));
    await page.untilShows([
      '"DefenderSyncDeployment"',
      `"${good}"`,
      '"DefenderSyncOutcome"',
      '"succeeded"',
      '"DefenderSyncPhase"',
      '"finished"',
    ]);
    await keepPicture('run-search-attributes');
  }, 120_000);

  test('its history says what each step was for', async () => {
    await open(await pageOf(syncWorkflowId(good), 'history'));
    await page.untilShows(['write the report: succeeded', `${good} · assessments`, 'preflight: sign-in, permissions, roles']);
    await keepPicture('run-history');
    await open(await pageOf(integrationWorkflowId(good, 'assessments'), 'history'));
    await page.untilShows(['assessments: read from Azure', 'assessments: which CI each resource is', 'assessments: write to ServiceNow']);
    await keepPicture('integration-history');
  }, 120_000);

  test('an integration says what it is and what it did', async () => {
    await open(await pageOf(integrationWorkflowId(good, 'assessments'), 'user-metadata'));
    const shown = await page.untilShows([`${good} · assessments`, 'test results (sn_vulc_result)', 'assessments · succeeded', 'scopes: ']);
    expect(shown).toMatch(/read \d+ · created \d+ · updated 0 · parked 0/);
    await keepPicture('integration');
  }, 120_000);

  test('a run that is parked says what it waits for, and what to do, in commands that can be copied', async () => {
    await open(await pageOf(syncWorkflowId(refused), 'user-metadata'));
    await page.untilShows([
      `${refused} · parked: a person has to act`,
      'It waits for:',
      'graph.incident-permissions',
      'Delegated instead of Application',
      'SecurityIncident.Read.All (45cc0394-e837-488b-a098-1918f48d186c)',
      'az ad app permission admin-consent --id',
      `defender-sync recheck ${refused}`,
    ]);
    await keepPicture('run-parked');
    await open(await pageOf(syncWorkflowId(refused), 'search-attributes'));
    await page.untilShows(['"DefenderSyncBlockedBy"', '"graph.incident-permissions"', '"parked"']);
  }, 120_000);
});
