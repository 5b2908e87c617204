import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  account,
  addRow,
  ENGINE_PROPERTY,
  HOSTED,
  image,
  operations,
  rows,
  server,
  setProperty,
  sysIdOf,
  type IreItem,
} from './ire-payloads.ts';
import { ENGINE_SOURCE, startLab, type Answer, type StartedLab } from './start.ts';

let started: StartedLab;

beforeAll(async () => {
  started = await startLab();
});
afterAll(() => started.stop());

const AZURE = 'SG-Azure';
const fields = async (table: string, query: string): Promise<Record<string, string>> => (await rows(started, table, query))[0] ?? {};

describe('IRE reconciliation (servicenow.md §5.1; documentation of reconciliation rules)', () => {
  const namespaceOf = async (id: string): Promise<string | undefined> =>
    (await fields('cmdb_ci_docker_image', `image_id=${id}`))['namespace'];
  const write = (id: string, namespace: string, by: string): Promise<Answer> => started.ire({ items: [image(id, { namespace })] }, '', by);

  it('without a rule sources overwrite each other; an empty value wipes nothing out', async () => {
    await write('w1', 'one', AZURE);
    await write('w1', 'two', ENGINE_SOURCE);
    await write('w1', '', ENGINE_SOURCE);
    await expect(namespaceOf('w1')).resolves.toBe('two');
  });

  it('a rule keeps a column for its source; priorities, history and override.null decide', async () => {
    const rule = {
      applies_to: 'cmdb_ci_docker_image',
      attributes: 'namespace',
      discovery_source: AZURE,
      priority: '100',
      null_update: 'namespace',
    };
    await addRow(started, 'cmdb_reconciliation_definition', rule);
    await write('w2', 'azure', AZURE);
    await expect(fields('cmdb_datasource_last_update', 'attribute=namespace')).resolves.toMatchObject({ discovery_source: AZURE });
    const refused = await started.ire({ items: [image('w2', { namespace: 'engine', name: 'free' })] });
    expect(operations(refused)).toEqual(['UPDATE']);
    await expect(fields('cmdb_ci_docker_image', 'image_id=w2')).resolves.toMatchObject({ namespace: 'azure', name: 'free' });
    await write('w2', '', AZURE);
    await expect(namespaceOf('w2')).resolves.toBe('');
    const undo = await setProperty(started, 'glide.reconciliation.override.null', 'false');
    await write('w2', 'engine', ENGINE_SOURCE);
    await expect(namespaceOf('w2')).resolves.toBe('');
    await undo();
    await write('w2', 'engine', ENGINE_SOURCE);
    await expect(namespaceOf('w2')).resolves.toBe('engine');
    await write('w2', 'azure again', AZURE);
    await expect(namespaceOf('w2')).resolves.toBe('azure again');
    await addRow(started, 'cmdb_reconciliation_definition', { ...rule, discovery_source: ENGINE_SOURCE, priority: '10', null_update: '' });
    await write('w2', 'higher', ENGINE_SOURCE);
    await write('w2', 'lower', AZURE);
    await expect(namespaceOf('w2')).resolves.toBe('higher');
  });

  it('an older last_discovered moves neither itself nor discovery_source; the rest is written (documented property)', async () => {
    const seen = (moment: string, name: string, by: string): Promise<Answer> =>
      started.ire({ items: [image('w3', { last_discovered: moment, name })] }, '', by);
    await seen('2026-03-02 00:00:00', 'new', AZURE);
    await seen('2026-03-01 00:00:00', 'late', ENGINE_SOURCE);
    await expect(fields('cmdb_ci_docker_image', 'image_id=w3')).resolves.toMatchObject({
      name: 'late',
      discovery_source: AZURE,
      last_discovered: '2026-03-02 00:00:00',
    });
    const undo = await setProperty(started, `${ENGINE_PROPERTY}.skip_updating_source_last_discovered_if_older`, 'false');
    await seen('2026-03-01 00:00:00', 'late', ENGINE_SOURCE);
    await expect(fields('cmdb_ci_docker_image', 'image_id=w3')).resolves.toMatchObject({
      discovery_source: ENGINE_SOURCE,
      last_discovered: '2026-03-01 00:00:00',
    });
    await undo();
  });

  it('rerun_insert_update_no_change.json: UPDATE when last_discovered moved, NO_CHANGE when nothing did', async () => {
    const seen = (moment: string): Promise<Answer> => started.ire({ items: [image('w4', { last_discovered: moment })] }, '/enhanced');
    const outcomes = [await seen('2026-03-01 00:00:00'), await seen('2026-03-02 00:00:00'), await seen('2026-03-02 00:00:00')];
    expect(outcomes.flatMap(operations)).toEqual(['INSERT', 'UPDATE', 'NO_CHANGE']);
  });

  it('a mandatory column may be empty where the property says so', async () => {
    const undo = await setProperty(started, 'glide.required.attribute.enabled', 'false');
    expect(operations(await started.ire({ items: [account('w5', { datacenter_type: '' })] }))).toEqual(['INSERT']);
    await undo();
  });
});

describe('IRE reclassification (servicenow.md §5.1; documentation of CI reclassification)', () => {
  const CLASSES = { LINUX: 'cmdb_ci_linux_server', WINDOWS: 'cmdb_ci_win_server', SERVER: 'cmdb_ci_server' };
  const existing = async (name: string, className: string): Promise<string> =>
    sysIdOf(await started.ire({ items: [server(name, className)] }), 0);
  const send = (name: string, className: string, more: object = {}): Promise<Answer> =>
    started.ire({ items: [{ ...server(name, className), ...more } as IreItem] });

  it.each([
    ['UPGRADE', CLASSES.SERVER, CLASSES.LINUX, 'updateWithoutUpgrade'],
    ['DOWNGRADE', CLASSES.LINUX, CLASSES.SERVER, 'updateWithoutDowngrade'],
    ['SWITCH', CLASSES.LINUX, CLASSES.WINDOWS, 'updateWithoutSwitch'],
  ])('%s: done, skipped by the item, skipped by the instance, refused with a task', async (change, from, to, setting) => {
    const name = `k-${change}`;
    const sysId = await existing(name, from);
    const skipped = await send(name, to, { settings: { [setting]: 'true' } });
    expect(skipped.json.result.items[0]).toMatchObject({
      className: from,
      operation: 'NO_CHANGE',
      info: [{ code: `SKIPPED_CLASS_${change}` }],
    });
    const undoWithout = await setProperty(started, `${ENGINE_PROPERTY}.update_without_${change.toLowerCase()}_enabled`, 'true');
    expect((await send(name, to)).json.result.items[0].info).toMatchObject([{ code: `SKIPPED_CLASS_${change}` }]);
    await undoWithout();
    const undoEnabled = await setProperty(started, `glide.class.${change.toLowerCase()}.enabled`, 'false');
    expect((await send(name, to)).json.result.items[0].errors).toEqual([
      { error: 'RECLASSIFICATION_NOT_ALLOWED', message: `CI Reclassification not allowed from class: [${from}] to [${to}]` },
    ]);
    await expect(rows(started, 'reclassification_task', `cmdb_ci=${sysId}`)).resolves.toMatchObject([
      { current_class: from, target_class: to },
    ]);
    const flag = `class${change.charAt(0)}${change.slice(1).toLowerCase()}`;
    const done = await send(name, to, { [flag]: true });
    expect(done.json.result.items[0]).toMatchObject({ className: to, operation: `UPDATE_WITH_${change}`, sysId });
    await undoEnabled();
    await expect(fields(to, `sys_id=${sysId}`)).resolves.toMatchObject({ sys_class_name: to });
  });

  it('script_api_no_change_skipped_class_switch.json: a restriction rule names itself; one direction only, unless skipped', async () => {
    const rule = {
      name: 'keep Linux',
      source_table: CLASSES.LINUX,
      target_table: CLASSES.SERVER,
      target_inheritance: 'true',
      type: 'switch',
      active: 'true',
    };
    const ruleSysId = await addRow(started, 'cmdb_ire_reclassification_restriction', rule);
    await existing('k-rule', CLASSES.LINUX);
    expect((await send('k-rule', CLASSES.WINDOWS)).json.result.items[0]).toMatchObject({
      className: CLASSES.LINUX,
      operation: 'NO_CHANGE',
      info: [
        {
          code: 'SKIPPED_CLASS_SWITCH',
          message:
            'CI Reclassification not allowed from class: [cmdb_ci_linux_server] to [cmdb_ci_win_server] by a reclassification restriction rule',
          ruleSysId,
        },
      ],
    });
    const skip = { settings: { skipReclassificationRestrictionRules: true } };
    expect(operations(await send('k-rule', CLASSES.WINDOWS, skip))).toEqual(['UPDATE_WITH_SWITCH']);
    expect(operations(await send('k-rule', CLASSES.LINUX))).toEqual(['UPDATE_WITH_SWITCH']);
    const undo = await setProperty(started, `${ENGINE_PROPERTY}.reclassification_restriction_rules_enabled`, 'false');
    expect(operations(await send('k-rule', CLASSES.WINDOWS))).toEqual(['UPDATE_WITH_SWITCH']);
    await undo();
  });

  it('only between classes with the same identification rule', async () => {
    const app = await addRow(started, 'cmdb_ci_db_db2_instance', { name: 'k-db2', running_process_command: 'db2' });
    const item = { className: 'cmdb_ci_appl', values: { sys_id: app, name: 'k-db2' } };
    expect((await started.ire({ items: [item] })).json.result.items[0].errors).toMatchObject([{ error: 'RECLASSIFICATION_NOT_ALLOWED' }]);
  });
});

describe('IRE duplicates in the CMDB (servicenow.md §5.1, properties; documentation of duplicate CIs)', () => {
  async function twins(id: string, count: number): Promise<string[]> {
    const sysIds: string[] = [];
    for (let copy = 0; copy < count; copy += 1) {
      sysIds.push(await addRow(started, 'cmdb_ci_docker_image', { image_id: id, name: `copy ${String(copy)}` }));
      started.clock.advance(60_000);
    }
    return sysIds;
  }
  const tasks = (mainCi: string): Promise<Record<string, string>[]> => rows(started, 'reconcile_duplicate_task', `cmdb_ci=${mainCi}`);

  it('up to the threshold of 5: the oldest is updated, the others point to it, one task lists them', async () => {
    const sysIds = await twins('d1', 5);
    const answer = await started.ire({ items: [image('d1', { name: 'nginx' })] });
    expect(answer.json.result.items[0]).toMatchObject({
      operation: 'UPDATE',
      sysId: sysIds[0],
      identificationAttempts: [{ attemptResult: 'MATCHED' }],
    });
    const images = await rows(started, 'cmdb_ci_docker_image', 'image_id=d1^ORDERBYsys_created_on');
    expect(images.map(({ name, duplicate_of: of }) => [name, of])).toEqual([
      ['nginx', ''],
      ...[1, 2, 3, 4].map((copy) => [`copy ${String(copy)}`, sysIds[0]]),
    ]);
    const [task, ...more] = await tasks(sysIds[0] ?? '');
    expect(more).toEqual([]);
    const listed = await rows(started, 'duplicate_audit_result', `follow_on_task=${task?.['sys_id'] ?? ''}`);
    expect(listed.map(({ duplicate_ci: ci }) => ci).sort()).toEqual(sysIds.toSorted());
    // Tagged duplicates are not found any more; one of them given by sys_id is invalid.
    expect(operations(await started.ire({ items: [image('d1', { name: 'nginx' })] }))).toEqual(['NO_CHANGE']);
    const byId = await started.ire({ items: [{ className: 'cmdb_ci_docker_image', values: { sys_id: sysIds[1] } }] });
    expect(byId.json.result.items[0].errors).toMatchObject([{ error: 'INVALID_INPUT_DATA' }]);
  });

  it('more than the threshold, or with the switch off: an error, nothing changed, and the task all the same', async () => {
    const many = await twins('d2', 6);
    const refused = await started.ire({ items: [image('d2', { name: 'x' })] });
    expect(refused.json.result.items[0]).toMatchObject({
      errors: [
        { error: 'MULTIPLE_DUPLICATE_RECORDS', message: 'Found duplicate records in table [cmdb_ci_docker_image] using fields [image_id]' },
      ],
      identificationAttempts: [{ attemptResult: 'MULTI_MATCH' }],
    });
    await expect(rows(started, 'cmdb_ci_docker_image', 'image_id=d2^duplicate_ofISNOTEMPTY')).resolves.toEqual([]);
    await started.ire({ items: [image('d2', { name: 'x' })] });
    await expect(tasks(many[0] ?? '')).resolves.toHaveLength(1);
    await twins('d3', 2);
    const undo = await setProperty(started, `${ENGINE_PROPERTY}.skip_duplicates`, 'false');
    expect((await started.ire({ items: [image('d3')] })).json.result.items[0].errors).toMatchObject([
      { error: 'MULTIPLE_DUPLICATE_RECORDS' },
    ]);
    await undo();
    const undoLimit = await setProperty(started, `${ENGINE_PROPERTY}.skip_duplicates.threshold`, '6');
    expect(operations(await started.ire({ items: [image('d2', { name: 'x' })] }))).toEqual(['UPDATE']);
    await undoLimit();
  });

  it('a record that the instance refuses to write fails alone: INSERT_FAILED, and what hangs on it is abandoned', async () => {
    const { store } = started.lab;
    const insert = store.insert.bind(store);
    store.insert = (table, values, ...more) => {
      if (values['name'] === 'Account d4') throw new Error('aborted by Business Rule');
      return insert(table, values, ...more);
    };
    const items = [account('d4'), { className: 'cmdb_ci_azure_datacenter', values: { object_id: 'd4', region: 'd4' } }];
    const answer = await started.ire({ items, relations: [{ parent: 1, child: 0, type: HOSTED }] });
    expect(answer.json.result.items).toMatchObject([
      { errors: [{ error: 'INSERT_FAILED', message: expect.stringContaining('aborted by Business Rule') }] },
      { errors: [{ error: 'ABANDONED' }] },
    ]);
  });
});
