import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

interface LabFile {
  azure: { authority: string; arm: string; graph: string; caFile: string; tenants: object[] };
  serviceNow: {
    url: string;
    caFile: string;
    users: { userName: string; password: string; roles: string[] }[];
    oauthClients: { clientId: string; clientSecret: string; userName: string }[];
  };
  admin: { url: string };
}

let dir: string;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'lab-main-'));
});

afterAll(() => rm(dir, { recursive: true, force: true }));

async function run(args: string[]): Promise<{ child: ChildProcess; line: string }> {
  const main = join(import.meta.dirname, '..', '..', '..', 'lab', 'main.ts');
  const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
  return { child, line };
}

async function stop(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  const exited = once(child, 'exit');
  child.kill(signal);
  return ((await exited) as [number | null])[0];
}

describe('the lab as a process (design §8)', () => {
  it('says when it is ready, lets clients in by lab.json, keeps its URLs, takes the time it is told, and stops cleanly', async () => {
    const labFile = join(dir, 'lab.json');
    const first = await run(['--dir', dir, '--persist']);
    expect(first.line).toBe(`lab ready ${labFile}`);
    expect((await stat(labFile)).mode & 0o777).toBe(0o600);
    const lab = JSON.parse(await readFile(labFile, 'utf8')) as LabFile;
    expect(Object.keys(lab)).toEqual(['azure', 'serviceNow', 'admin']);
    expect(lab.azure.tenants.length).toBeGreaterThan(0);
    expect(lab.serviceNow.users.find(({ userName }) => userName === 'defender.sync')?.roles).toContain('itil');
    expect(lab.serviceNow.oauthClients.map(({ userName }) => userName)).toContain('defender.sync');
    await expect(readFile(lab.serviceNow.caFile, 'utf8')).resolves.toContain('BEGIN CERTIFICATE');

    const clock = await fetch(`${lab.admin.url}/clock`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ now: '2027-01-01T00:00:00Z' }),
    });
    expect(((await clock.json()) as { now: string }).now).toMatch(/^2027-01-01T00:00:0/);
    const summary = await fetch(`${lab.admin.url}/servicenow/summary`);
    expect(summary.status).toBe(200);
    await expect(stop(first.child, 'SIGTERM')).resolves.toBe(0);
    await expect(access(labFile)).rejects.toThrow('ENOENT');

    const second = await run([
      '--dir',
      dir,
      '--persist',
      '--latency',
      '30ms',
      '--per-write',
      '1',
      '--threads',
      '4',
      '--queue',
      '20',
      '--batch-quota-ms',
      '5000',
      '--profile',
      'strict',
    ]);
    const again = JSON.parse(await readFile(labFile, 'utf8')) as LabFile;
    expect(again.serviceNow).toEqual(lab.serviceNow);
    expect(again.azure.arm).toBe(lab.azure.arm);
    expect(again.admin.url).toBe(lab.admin.url);
    const latency = await fetch(`${again.admin.url}/servicenow/latency`);
    await expect(latency.json()).resolves.toMatchObject({ perRequestMs: 30, perWriteMs: 1, threads: 4, queueLimit: 20 });
    const profile = await fetch(`${again.admin.url}/servicenow/profile`);
    await expect(profile.json()).resolves.toEqual({ profile: 'strict' });
    await expect(stop(second.child, 'SIGINT')).resolves.toBe(0);
  });
});
