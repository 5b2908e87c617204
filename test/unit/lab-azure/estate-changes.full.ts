/** What an estate holds after changes: azure.md §1.6 and §4 (keys change, rows vanish and come back). */
import { describe, expect, test } from '@jest/globals';
import { BENCH_PROFILE } from '../../../lab/azure/estate/generated/profile.ts';
import { createGeneratedEstate } from '../../../lab/azure/estate/generated/index.ts';
import type { Removal } from '../../../lab/azure/estate/content-changes.ts';
import { createEstateChanges, type Estate, type EstateChanges, type EstateTruth, type Rows } from '../../../lab/azure/estate/model.ts';
import { textAt, type JsonObject } from '../../../lab/azure/json.ts';
import { hash32 } from '../../../lab/azure/estate/generated/hash.ts';

const ASSESSMENTS = 900;
/** Of individual recommendations, which the REST list does not give. */
const IMAGE_TYPES: ReadonlySet<unknown> = new Set(['.containerimage', 'K8s-container']);

interface Opened {
  readonly estate: Estate;
  readonly changes: EstateChanges;
  readonly ids: readonly string[];
}

function open(): Opened {
  const changes = createEstateChanges();
  const estate = createGeneratedEstate({ name: 'test', profile: BENCH_PROFILE, seed: '5', assessments: ASSESSMENTS, changes });
  return { estate, changes, ids: estate.subscriptions.map(({ subscriptionId }) => subscriptionId) };
}

const read = (rows: Rows): JsonObject[] => Array.from({ length: rows.size }, (_unused, index) => rows.at(index));
/** What one has and the other has not, or has elsewhere: a difference of thousands of rows is no message anybody reads. */
function expectSame(actual: readonly string[], expected: readonly string[]): void {
  expect(actual.length).toBe(expected.length);
  expect(actual.filter((item, index) => item !== expected[index]).slice(0, 3)).toEqual([]);
}

const idOf = (row: JsonObject): string => textAt(row, 'id').toLowerCase();

/** Everything a reader could see, as text. */
function everything({ estate, ids }: Opened): string[] {
  const lists = ids.flatMap((id) => [...read(estate.assessments(id)), ...read(estate.resources(id)), ...estate.customMetadata(id)]);
  return [...lists, ...estate.graphPartitions(ids).flatMap(({ rows }) => read(rows)), ...estate.assessmentMetadata].map((row) =>
    JSON.stringify(row),
  );
}

const listedIds = ({ estate, ids }: Opened): string[] => ids.flatMap((id) => read(estate.assessments(id)).map(idOf));
const truthOf = ({ estate, ids }: Opened): EstateTruth => estate.truth({ subscriptionIds: ids, managementGroups: [], metadataCap: 1000 });

function remove({ changes }: Opened, removal: Partial<Removal> & Pick<Removal, 'target'>): void {
  changes.content.removals.push({ subscriptionId: undefined, present: false, ...removal });
  changes.revision += 1;
}

function named({ estate }: Opened, id: string): Pick<Removal, 'target' | 'subscriptionId'> {
  const part = estate.content?.locate(id);
  if (part === undefined) throw new Error(`Nothing is called ${id}.`);
  return part;
}

function add({ changes }: Opened, what: { assessments?: number; resources?: number; images?: number; subscriptionId?: string }): void {
  changes.content.additions.push({ subscriptionId: undefined, assessments: 0, resources: 0, images: 0, ...what });
  changes.revision += 1;
}

/** A change drawn from a number; the same number, the same change. */
function drawnChange(opened: Opened, draw: number): void {
  const percent = 1 + (draw % 30);
  const seed = draw % 5;
  const present = (draw >>> 8) % 3 === 0;
  const subscriptionId = (draw >>> 12) % 2 === 0 ? undefined : opened.ids[draw % opened.ids.length];
  switch ((draw >>> 16) % 5) {
    case 0: {
      remove(opened, { target: { kind: 'assessments', percent, seed }, subscriptionId, present });
      return;
    }
    case 1: {
      remove(opened, { target: { kind: 'resources', percent, seed }, subscriptionId, present });
      return;
    }
    case 2: {
      add(opened, { assessments: draw % 90, images: draw % 4, ...(subscriptionId === undefined ? {} : { subscriptionId }) });
      return;
    }
    case 3: {
      add(opened, { resources: draw % 7, ...(subscriptionId === undefined ? {} : { subscriptionId }) });
      return;
    }
    default: {
      const keys = opened.estate.assessmentMetadata.filter((row) => textAt(row, 'properties', 'assessmentType') !== 'DynamicBuiltIn');
      const from = textAt(keys[draw % keys.length] ?? {}, 'name');
      opened.changes.content.renames.push({ from, to: `${(draw >>> 0).toString(16).padStart(8, '0')}${from.slice(8)}` });
      opened.changes.revision += 1;
    }
  }
}

describe.each([1, 2, 3])('six changes drawn from %d', (start) => {
  const changed = (): Opened => {
    const opened = open();
    for (let step = 0; step < 6; step += 1) drawnChange(opened, hash32(start, step));
    return opened;
  };
  const opened = changed();

  test('make the same estate again, whether it was read in between or not', () => {
    const again = open();
    for (let step = 0; step < 6; step += 1) {
      drawnChange(again, hash32(start, step));
      listedIds(again);
      truthOf(again);
    }
    expectSame(everything(again), everything(opened));
  });

  test('leave partitions in order by lower-case id, below what they say their ids start with, and constants true', () => {
    for (const { rows, idPrefix, constants } of opened.estate.graphPartitions(opened.ids)) {
      const all = read(rows);
      const ids = all.map(idOf);
      expectSame(
        ids,
        ids.toSorted((left, right) => (left < right ? -1 : left > right ? 1 : 0)),
      );
      expect(ids.filter((id) => !id.startsWith(idPrefix ?? 'none'))).toEqual([]);
      for (const [path, value] of constants) {
        const held = all.map((row) => path.split('.').reduce<unknown>((part, step) => (part as JsonObject | undefined)?.[step], row));
        expect(held.filter((column) => (column ?? null) !== value)).toEqual([]);
      }
    }
  });

  test('list each assessment once, the same over REST and in Resource Graph', () => {
    const ids = listedIds(opened);
    expect(new Set(ids).size).toBe(ids.length);
    const graph = opened.estate
      .graphPartitions(opened.ids)
      .filter(({ constants }) => constants.get('type') === 'microsoft.security/assessments')
      .filter(({ constants }) => !IMAGE_TYPES.has(constants.get('properties.resourceDetails.ResourceType')))
      .flatMap(({ rows }) => read(rows).map(idOf));
    expectSame(graph.toSorted(), ids.toSorted());
  });

  test('count what is there', () => {
    const rows = opened.ids.flatMap((id) => read(opened.estate.assessments(id)));
    const truth = truthOf(opened);
    const classic = rows.filter((row) => textAt(row, 'properties', 'additionalData', 'SoftwareName') === '');
    const resource = (row: JsonObject): string => idOf(row).split('/providers/microsoft.security/assessments/')[0] ?? '';
    expect(truth.assessments).toMatchObject({
      listed: rows.length,
      outOfScope: rows.length - classic.length,
      keys: new Set(classic.map((row) => textAt(row, 'name'))).size,
    });
    expect(truth.assessments.inScope.unhealthy).toBe(
      classic.filter((row) => textAt(row, 'properties', 'status', 'code') === 'Unhealthy').length,
    );
    expect(truth.resources.listed).toBe(new Set(rows.map(resource)).size);
    expect(truth.resources.inScope).toBe(new Set(classic.map(resource)).size);
  });

  test('let every listed assessment be found by its id, and none that went away', () => {
    const ids = new Set(listedIds(opened));
    const all = new Set([...listedIds(open()), ...ids]);
    for (const id of all) {
      const [resource = '', key = ''] = id.split('/providers/microsoft.security/assessments/');
      const found = opened.estate.findAssessment(resource, key);
      if (found !== undefined) expect([id, ids.has(id), idOf(found)]).toEqual([id, true, id]);
    }
  });
});

describe('what went away', () => {
  test('a share of assessments, less of none; what comes back is the same rows', () => {
    const opened = open();
    const before = everything(opened);
    remove(opened, { target: { kind: 'assessments', percent: 20, seed: 3 } });
    const left = listedIds(opened).length / listedIds(open()).length;
    expect(Math.abs(left - 0.8)).toBeLessThan(0.05);
    remove(opened, { target: { kind: 'assessments', percent: 20, seed: 3 }, present: true });
    expectSame(everything(opened), before);
  });

  test('a named resource goes with all its assessments and out of the resources; others stay', () => {
    const opened = open();
    const before = listedIds(opened);
    const [resource = ''] = before.find((id) => id.includes('/virtualmachines/'))?.split('/providers/microsoft.security/') ?? [];
    remove(opened, named(opened, resource.toUpperCase()));
    expectSame(listedIds(opened).toSorted(), before.filter((id) => !id.startsWith(`${resource}/`)).toSorted());
    expect(opened.ids.flatMap((id) => read(opened.estate.resources(id)).map(idOf))).not.toContain(resource);
  });

  test('a named assessment, be it classic, of a machine, or of an image in its registry', () => {
    for (const kind of ['/virtualmachines/', 'machine', '/images/sha256:'] as const) {
      const opened = open();
      const rows = opened.estate.graphPartitions(opened.ids).filter(({ constants }) => {
        const category = constants.get('properties.metadata.recommendationCategory');
        const type = constants.get('properties.resourceDetails.ResourceType');
        if (kind === 'machine') return category === 'SystemUpdate';
        return kind === '/images/sha256:' ? type === '.containerimage' : category === null;
      });
      const all = (): string[] => [...new Set(rows.flatMap((partition) => read(partition.rows).map(idOf)))];
      const before = all();
      const id = before.find((candidate) => kind === 'machine' || candidate.includes(kind)) ?? '';
      remove(opened, named(opened, id));
      expect(before.filter((candidate) => !all().includes(candidate))).toEqual([id]);
    }
  });

  test('of all assessments nothing is left, and nothing fails', () => {
    const opened = open();
    remove(opened, { target: { kind: 'assessments', percent: 100, seed: 1 } });
    expect(listedIds(opened)).toEqual([]);
    expect(truthOf(opened)).toMatchObject({ assessments: { listed: 0, results: 0 }, resources: { listed: 0 }, containers: { rows: 0 } });
  });
});

describe('what was added', () => {
  test('assessments: so many more, and every row of before as it was', () => {
    const opened = open();
    const before = opened.ids.flatMap((id) => read(opened.estate.assessments(id))).map((row) => JSON.stringify(row));
    add(opened, { assessments: 333 });
    expect(truthOf(opened).assessments.inScope.total).toBe(ASSESSMENTS + 333);
    const after = new Set(opened.ids.flatMap((id) => read(opened.estate.assessments(id))).map((row) => JSON.stringify(row)));
    expect(before.filter((row) => !after.has(row)).slice(0, 3)).toEqual([]);
  });

  test('resources of one subscription: so many more, all their assessments with them', () => {
    const opened = open();
    const [subscriptionId = ''] = opened.ids;
    const before = truthOf(opened);
    add(opened, { resources: 7, subscriptionId });
    expect(truthOf(opened).resources.inScope).toBe(before.resources.inScope + 7);
    expect(opened.ids.slice(1).map((id) => opened.estate.assessments(id).size)).toEqual(
      open()
        .ids.slice(1)
        .map((id) => open().estate.assessments(id).size),
    );
  });

  test('images: so many more, and no other image moves', () => {
    const opened = open();
    const imagesOf = (): string[] =>
      opened.estate
        .graphPartitions(opened.ids)
        .filter(({ constants }) => constants.get('properties.metadata.recommendationCategory') === 'SoftwareUpdate')
        .flatMap(({ rows }) => read(rows).map((row) => `${idOf(row)} ${textAt(row, 'properties', 'status', 'code')}`));
    const before = imagesOf();
    const counted = truthOf(opened).containers.images;
    add(opened, { images: 9 });
    expect(truthOf(opened).containers.images).toBe(counted + 9);
    const after = new Set(imagesOf());
    expect(before.filter((image) => !after.has(image)).slice(0, 3)).toEqual([]);
  });
});

test('a new key is in rows, metadata and standards; the policy keeps the old one (azure-policy#1595, azure.md §4)', () => {
  const opened = open();
  const from = 'c3b51c94-588b-426b-a892-24696f9e54cc';
  const to = '11111111-588b-426b-a892-24696f9e54cc';
  const before = everything(opened).filter((row) => row.includes(from)).length;
  expect(before).toBeGreaterThan(10);
  const policies = (): number => opened.estate.policyDefinitions.filter((row) => JSON.stringify(row).includes(from)).length;
  const withPolicy = policies();
  opened.changes.content.renames.push({ from, to });
  opened.changes.revision += 1;
  const after = everything(opened);
  expect(after.filter((row) => row.includes(from)).slice(0, 1)).toEqual([]);
  expect(after.filter((row) => row.includes(to)).length).toBe(before);
  expect(policies()).toBe(withPolicy);
  expect(withPolicy).toBeGreaterThan(0);
  expect(opened.estate.content?.isKey(from)).toBe(false);
});
