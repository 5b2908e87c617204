/** The demo as a person runs it: from nothing, again where it was, and what other commands see of it meanwhile. */
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { findProcesses } from '../../src/local-process.ts';
import type { Report } from '../../src/model.ts';
import { runCli, startCli, type CliProcess, type CliResult } from './cli-process.ts';

const integrations = ['policies', 'metadata', 'standards', 'assessments', 'container-images'];
const estate = 'generated:3:60';

let dir: string;
let config: string;
let once: CliResult;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'defender-sync-demo-'));
  config = join(dir, 'defender-sync.yaml');
  once = await runCli(['demo', '--once', '--json', '--estate', estate, '--dir', dir], { cwd: dir });
}, 580_000);

afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** Everything that was started for the folder. */
async function processesOfDemo(): Promise<number[]> {
  return (await findProcesses(dir)).map(({ pid }) => pid);
}

describe('demo --once --json', () => {
  test('prints four reports and nothing else on stdout: a, b, a again, b again', () => {
    expect({ code: once.code, stderr: once.code === 0 ? '' : once.stderr }).toEqual({ code: 0, stderr: '' });
    const reports = JSON.parse(once.stdout) as Report[];
    expect(reports.map(({ deployment, outcome }) => [deployment, outcome])).toEqual([
      ['a', 'succeeded'],
      ['b', 'succeeded'],
      ['a', 'succeeded'],
      ['b', 'succeeded'],
    ]);
    for (const report of reports) {
      expect(report.integrations.map(({ name }) => name)).toEqual(integrations);
      expect(report.integrations.filter(({ read }) => read === 0)).toEqual([]);
    }
    expect(reports[0]!.calls.serviceNowWrites + reports[1]!.calls.serviceNowWrites).toBeGreaterThan(0);
    expect(reports.slice(2).map(({ calls }) => calls.serviceNowWrites)).toEqual([0, 0]);
    const contract = ['deployment', 'run', 'mode', 'outcome', 'integrations', 'calls', 'seconds'];
    expect(Object.keys(reports[0]!)).toEqual([...contract, 'parkedRecords', 'skippedColumns']);
  });

  test('shows on stderr what goes on, without cursor movements or colours', () => {
    expect(once.stderr).toContain('First runs: everything is new to ServiceNow.');
    expect(once.stderr).toContain('All runs succeeded, and the second ones had nothing to write.');
    expect(once.stderr).not.toContain('\u001b[');
  });

  test('stops everything that it started', async () => {
    expect(await processesOfDemo()).toEqual([]);
  });

  test('keeps secrets in closed files of their own', () => {
    const secret = readFileSync(join(dir, 'secrets', 'azure-client-a'), 'utf8');
    expect(statSync(join(dir, 'secrets', 'azure-client-a')).mode & 0o777).toBe(0o600);
    expect(secret.length).toBeGreaterThan(8);
    for (const text of [once.stdout, once.stderr, readFileSync(config, 'utf8')]) expect(text).not.toContain(secret);
  });
});

describe('the demo again', () => {
  let demo: CliProcess;
  const cli = (...args: string[]): Promise<CliResult> => runCli(['--config', config, ...args], { cwd: dir });

  beforeAll(async () => {
    demo = startCli(['demo', '--estate', estate, '--dir', dir], { cwd: dir });
    await demo.says('Look around');
  }, 580_000);

  afterAll(async () => {
    demo.child.kill('SIGKILL');
    await demo.ended;
  });

  test('goes on where it was: nothing is new', () => {
    expect(demo.stderr()).toContain('First runs: what an earlier demo wrote is still there.');
    expect(demo.stdout().match(/Nothing to write: ServiceNow was up to date\./g)).toHaveLength(4);
  });

  test('a second one in the same folder is refused', async () => {
    const second = await runCli(['demo', '--estate', estate, '--dir', dir], { cwd: dir });
    expect(second.code).toBe(2);
    expect(second.stderr).toContain(`A demo already runs in ${dir} (process ${demo.child.pid}).`);
  });

  test('status and report say what it did', async () => {
    const status = await cli('status', '--json');
    expect(JSON.parse(status.stdout)).toMatchObject([
      { deployment: 'a', outcome: 'succeeded', phase: null },
      { deployment: 'b', outcome: 'succeeded', phase: null },
    ]);
    const report = await cli('report', 'a', '--json');
    expect(report.code).toBe(0);
    const { run } = JSON.parse(report.stdout) as Report;
    expect((await cli('report', '--run', run)).stdout).toContain(`a succeeded in`);
    const unknown = await cli('report', '--run', '00000000-0000-4000-8000-000000000000');
    expect({ code: unknown.code, stdout: unknown.stdout }).toEqual({ code: 1, stdout: '' });
    expect(unknown.stderr).toContain('No report of run 00000000-0000-4000-8000-000000000000.');
  });

  test('sync works with its worker, prints one report, and starts no other worker', async () => {
    const sync = await cli('sync', 'b', '--json');
    expect({ code: sync.code, stderr: sync.code === 0 ? '' : sync.stderr }).toEqual({ code: 0, stderr: '' });
    expect(JSON.parse(sync.stdout)).toMatchObject({ deployment: 'b', outcome: 'succeeded', calls: { serviceNowWrites: 0 } });
  });

  test('temporal reaches its server, and hands on its exit code', async () => {
    const list = await cli('temporal', 'workflow', 'list', '--query', 'WorkflowId = "sync/a"', '--output', 'json');
    expect(list.code).toBe(0);
    expect(list.stdout).toContain('syncDeployment');
    expect((await cli('temporal', 'workflow', 'describe', '--workflow-id', 'sync/nobody')).code).not.toBe(0);
  });

  test('schedules apply makes them once, then finds them unchanged', async () => {
    const scheduled = join(dir, 'scheduled.yaml');
    const schedule = '    schedule: { cron: "30 2 * * *", timeZone: Europe/Berlin, paused: true }\n';
    writeFileSync(scheduled, readFileSync(config, 'utf8').replaceAll(/^( {2}- name: .*\n)/gm, `$1${schedule}`));
    const apply = (...args: string[]): Promise<CliResult> => runCli(['--config', scheduled, 'schedules', 'apply', ...args], { cwd: dir });
    expect((await apply('--dry-run')).stdout).toBe('defender-sync/a  would be created\ndefender-sync/b  would be created\n');
    expect((await apply()).stdout).toBe('defender-sync/a  created\ndefender-sync/b  created\n');
    expect(JSON.parse((await apply('--json')).stdout)).toEqual({
      created: [],
      updated: [],
      removed: [],
      unchanged: ['defender-sync/a', 'defender-sync/b'],
    });
    expect((await cli('schedules', 'apply')).stdout).toBe('defender-sync/a  removed\ndefender-sync/b  removed\n');
  });

  test('doctor finds the lab in order', async () => {
    const doctor = await cli('doctor', 'a');
    expect({ code: doctor.code === 0 || doctor.code === 3, stdout: doctor.stdout }).toMatchObject({ code: true });
    expect(doctor.stdout).toMatch(/^a is ready to run/);
  });

  test('Ctrl-C stops everything in order, and is no failure', async () => {
    demo.child.kill('SIGINT');
    expect(await demo.ended).toBe(0);
    expect(demo.stderr()).toContain('Stopping …');
    expect(await processesOfDemo()).toEqual([]);
    expect(existsSync(join(dir, 'demo.json'))).toBe(false);
  });
});
