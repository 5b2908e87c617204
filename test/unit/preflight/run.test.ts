import { describe, expect, test } from '@jest/globals';
import { catalogue, renderFindings, runPreflight, type Finding } from '../../../src/preflight/index.ts';
import { findingsOf, forbiddenRead, healthyWorld, inputOf, paid, refusal, subscription, subscriptionId, type World } from './world.ts';

describe('runPreflight', () => {
  test('a healthy world: every check of the catalogue says ok, and each began once', async () => {
    const begun: string[] = [];
    const { findings, scopes } = await runPreflight(inputOf(healthyWorld(), { onCheck: (check) => begun.push(check) }));
    expect(findings.map(({ check, verdict }) => `${check} ${verdict}`)).toEqual(catalogue.map(({ id }) => `${id} ok`));
    expect([...begun].sort()).toEqual(catalogue.map(({ id }) => id).sort());
    expect(scopes).toEqual(
      [1, 2].map((number) => ({ kind: 'subscription', id: subscriptionId(number), name: `Subscription ${number}`, state: 'Enabled' })),
    );
  });

  test('incidents switched off: nothing is said about Microsoft Graph, and no Graph token is asked for', async () => {
    const world = { ...healthyWorld(), incidents: false };
    const { findings } = await runPreflight(inputOf(world));
    expect(findingsOf(findings, 'graph')).toEqual([]);
    expect(world.requests).not.toContain('token graph');
  });

  test('what cannot run is not-checked and names its need; everything else still runs', async () => {
    const world = healthyWorld();
    world.tokens.arm = refusal('unauthenticated', { code: 'AADSTS7000215' });
    const { findings, scopes } = await runPreflight(inputOf(world));
    const notChecked = findings.filter(({ verdict }) => verdict === 'not-checked');
    expect(notChecked.map(({ check }) => check)).toEqual([
      'graph.incident-permissions',
      'azure.scopes',
      'azure.read',
      'azure.tags',
      'azure.resource-graph',
      'azure.cve-details',
      'azure.defender-plan',
    ]);
    expect(notChecked[0]?.evidence).toContain('entra.sign-in');
    expect(notChecked[2]?.evidence).toContain('azure.scopes');
    expect(findings.filter(({ check }) => check.startsWith('servicenow.')).every(({ verdict }) => verdict === 'ok')).toBe(true);
    expect(world.requests).not.toContain('subscriptions');
    expect(scopes).toEqual([]);
  });

  test('what is wrong says what follows and who can put it right; what is right does not', async () => {
    const world = healthyWorld();
    world.tokens.arm = refusal('unauthenticated', { code: 'AADSTS7000215' });
    const { findings } = await runPreflight(inputOf(world));
    const [signIn] = findingsOf(findings, 'entra.sign-in');
    expect(signIn?.follows).toContain('parks');
    expect(signIn?.fixedBy).toContain('app registration');
    const right = findings.filter(({ verdict }) => verdict === 'ok' || verdict === 'not-checked');
    expect(right.length).toBeGreaterThan(5);
    expect(right.every(({ follows, fixedBy }) => follows === null && fixedBy === null)).toBe(true);
  });

  test('a warning does not stop what depends on it', async () => {
    const world = healthyWorld();
    world.subscriptions = [subscription(1)];
    const { findings, scopes } = await runPreflight(inputOf(world));
    expect(findingsOf(findings, 'azure.read').map(({ verdict }) => verdict)).toEqual(['ok']);
    expect(world.requests.filter((request) => request.startsWith('pricings'))).toEqual([`pricings ${subscriptionId(1)}`]);
    // Kept, so that its scans fail by name.
    expect(scopes.map(({ id, state }) => [id, state])).toEqual([
      [subscriptionId(1), 'Enabled'],
      [subscriptionId(2), 'not-visible'],
    ]);
  });

  test('disabled subscriptions are no scopes; management groups are, with the subscriptions below them', async () => {
    const world = healthyWorld();
    world.scope = { type: 'management-groups', managementGroups: ['corp', 'lab'] };
    world.managementGroups = { corp: [subscriptionId(1), subscriptionId(2)], lab: [subscriptionId(2), subscriptionId(3)] };
    world.subscriptions = [subscription(1), subscription(2, 'PastDue'), subscription(3, 'Disabled')];
    const { scopes } = await runPreflight(inputOf(world));
    expect(scopes.map(({ kind, id, state }) => [kind, id, state])).toEqual([
      ['management-group', 'corp', 'Enabled'],
      ['management-group', 'lab', 'Enabled'],
      ['subscription', subscriptionId(1), 'Enabled'],
      ['subscription', subscriptionId(2), 'PastDue'],
    ]);
  });

  test('fifty forbidden subscriptions of sixty: twenty findings that together name all of them', async () => {
    const world = healthyWorld();
    const all = Array.from({ length: 60 }, (_, index) => index + 1);
    world.scope = { type: 'subscriptions', subscriptions: all.map(subscriptionId) };
    world.subscriptions = all.map((number) => subscription(number));
    for (const number of all) world.pricings[subscriptionId(number)] = number > 50 ? paid : forbiddenRead;
    const { findings } = await runPreflight(inputOf(world));
    const family = findingsOf(findings, 'azure.read');
    expect(family).toHaveLength(20);
    expect(family.every(({ verdict }) => verdict === 'warning')).toBe(true);
    expect(family.at(-1)?.check).toBe('azure.read');
    expect(family.at(-1)?.evidence).toContain('31 further subscriptions');
  });

  test('at most eight subscriptions are read at a time', async () => {
    const world = healthyWorld();
    const all = Array.from({ length: 40 }, (_, index) => index + 1);
    world.scope = { type: 'subscriptions', subscriptions: all.map(subscriptionId) };
    world.subscriptions = all.map((number) => subscription(number));
    const input = inputOf(world);
    let open = 0;
    let most = 0;
    const readPricings = async (): Promise<typeof paid> => {
      most = Math.max(most, ++open);
      await new Promise((resolve) => setImmediate(resolve));
      open -= 1;
      return paid;
    };
    const discovery = { ...input.clients.azure.discovery, readPricings };
    await runPreflight({ ...input, clients: { ...input.clients, azure: { ...input.clients.azure, discovery } } });
    expect(most).toBe(8);
  });

  test.each(['throttled', 'transient', 'outcome-unknown', 'fenced-out', 'overtaken', 'bug'] as const)(
    '%s is no finding: it is thrown on',
    async (kind) => {
      const failure = refusal(kind, { retryAfterMs: 7_000 });
      const places: ((world: World) => unknown)[] = [
        (world) => (world.tokens.arm = failure),
        (world) => (world.subscriptions = failure),
        (world) => (world.pricings[subscriptionId(1)] = failure),
        (world) => (world.rows['sys_user_has_role'] = failure),
        (world) => (world.dictionary = failure),
        (world) => (world.dryRun = failure),
        (world) => (world.rows['sn_vul_integration'] = failure),
      ];
      for (const place of places) {
        const world = healthyWorld();
        place(world);
        await expect(runPreflight(inputOf(world))).rejects.toBe(failure);
      }
    },
  );

  test('for a person who asks, trouble that may pass stands beside everything else', async () => {
    const world = healthyWorld();
    world.tokens.arm = refusal('transient', { code: 'ECONNREFUSED', message: 'login.microsoftonline.com did not answer' });
    world.rows['sn_vul_integration'] = refusal('throttled', { status: 429 });
    const { findings } = await runPreflight(inputOf(world, { passing: 'report' }));
    expect(findingsOf(findings, 'entra.sign-in')[0]).toMatchObject({ verdict: 'blocking', cause: 'not-reachable' });
    expect(findingsOf(findings, 'entra.sign-in')[0]?.remedy).toContain('firewall');
    expect(findingsOf(findings, 'servicenow.plugin-writers')[0]).toMatchObject({ verdict: 'not-readable', cause: 'no-answer-now' });
    expect(findingsOf(findings, 'servicenow.tables')[0]?.verdict).toBe('ok');
  });

  test.each(['fenced-out', 'bug'] as const)('%s is thrown on even then', async (kind) => {
    const world = healthyWorld();
    world.subscriptions = refusal(kind);
    await expect(runPreflight(inputOf(world, { passing: 'report' }))).rejects.toMatchObject({ kind });
  });

  test('a defect is thrown on as it is', async () => {
    const world = healthyWorld();
    world.subscriptions = new TypeError('defect');
    await expect(runPreflight(inputOf(world))).rejects.toBeInstanceOf(TypeError);
  });

  test('an aborted signal ends it', async () => {
    const reason = new Error('cancelled');
    await expect(runPreflight(inputOf(healthyWorld(), { signal: AbortSignal.abort(reason) }))).rejects.toBe(reason);
  });

  test('what several checks need is read once', async () => {
    const world = healthyWorld();
    await runPreflight(inputOf(world));
    for (const request of ['token arm', 'subscriptions', 'sys_user_has_role?user=javascript:gs.getUserID()']) {
      expect(world.requests.filter((made) => made === request)).toHaveLength(1);
    }
    expect(world.requests.filter((made) => made.startsWith('dry run'))).toEqual([
      'dry run of cmdb_ci_cloud_service_account, cmdb_ci_azure_datacenter, cmdb_ci_cmp_resource',
    ]);
  });
});

describe('the catalogue', () => {
  test('every id is its own, and needs stand before those who need them', () => {
    const ids = catalogue.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    catalogue.forEach(({ id, needs }, index) => {
      for (const need of needs) expect({ id, need, before: ids.slice(0, index).includes(need) }).toEqual({ id, need, before: true });
    });
  });
});

describe('renderFindings', () => {
  const wrong = { follows: null, fixedBy: null };
  const findings: Finding[] = [
    { check: 'entra.sign-in', verdict: 'ok', cause: 'ok', evidence: 'signed in', remedy: null, ...wrong },
    { check: 'azure.read.x', verdict: 'warning', cause: 'forbidden', evidence: 'one scope\nfails', remedy: 'assign a role', ...wrong },
    { check: 'servicenow.ire', verdict: 'not-checked', cause: 'not-checked', evidence: 'not checked', remedy: null, ...wrong },
    {
      check: 'servicenow.tables',
      verdict: 'blocking',
      cause: 'table-absent',
      evidence: 'absent \u001b[2J',
      follows: 'the run parks',
      fixedBy: 'An administrator',
      remedy: 'install it',
    },
    { check: 'servicenow.roles', verdict: 'not-readable', cause: 'hidden', evidence: 'hidden', remedy: 'let it read', ...wrong },
  ];

  test('worst first, one line a sentence, a sum at the end', () => {
    expect(renderFindings(findings, { colours: false }).split('\n')).toEqual([
      'BLOCKING      servicenow.tables',
      '              absent [2J',
      '              the run parks',
      '              → An administrator: install it',
      'NOT READABLE  servicenow.roles',
      '              hidden',
      '              → let it read',
      'WARNING       azure.read.x',
      '              one scope fails',
      '              → assign a role',
      'NOT CHECKED   servicenow.ire',
      '              not checked',
      'ok            entra.sign-in: signed in',
      '1 blocking, 1 not-readable, 1 warning, 1 not-checked, 1 ok',
    ]);
  });

  test('colours only where they are wanted, and around the verdict only', () => {
    const coloured = renderFindings(findings, { colours: true });
    expect(coloured).toContain('\u001b[31mBLOCKING    \u001b[0m  servicenow.tables');
    expect(renderFindings(findings, { colours: false })).not.toContain('\u001b');
  });

  test('no findings', () => {
    expect(renderFindings([], { colours: false })).toBe('Nothing was checked.');
  });
});
