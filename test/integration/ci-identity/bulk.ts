/** What many new resources cost in requests, by the lab's own log (design §5: in bulk inside Batch). */
import type { JsonObject } from '../../../src/model.ts';
import { assessmentOf, must, type TestEngine } from './engine.ts';

const subscriptions = ['20ff7fc3', '30ff7fc3', '40ff7fc3', '50ff7fc3'].map((head) => `${head}-e762-44dd-bd96-b71116dcdc23`);
const types = [
  'Microsoft.Compute/virtualMachines',
  'Microsoft.Storage/storageAccounts',
  'Microsoft.KeyVault/vaults',
  'Microsoft.Web/sites',
];

/** New resources of several types in four subscriptions, with names as long as real ones. */
export function newResources(count: number): JsonObject[] {
  return Array.from({ length: count }, (_, index) => {
    const subscription = must(subscriptions[index % subscriptions.length]);
    const type = must(types[Math.floor(index / 4) % types.length]);
    const name = `contoso-production-workload-${String(index).padStart(6, '0')}`;
    return assessmentOf(`/subscriptions/${subscription}/resourceGroups/rg-production-${index % 40}/providers/${type}/${name}`);
  });
}

export interface Spent {
  /** Requests on the wire by what they were for; items of a Batch do not count. */
  readonly lookUps: number;
  readonly identification: number;
  readonly discoveredItems: number;
  readonly total: number;
}

/** What discovered items refer to: small, shared, and not part of the question. */
const referredTo = ['sn_sec_cmn_cloud_service_provider', 'sn_sec_cmn_cloud_account', 'sn_sec_cmn_region', 'sn_sec_cmn_cloud_resource_type'];

/**
 * Settles the CIs of everything observed and publishes the discovered items, and says what went over the wire for it. What a run
 * reads once, whatever its size (the dictionary), is read before, the lookup rules apart: they are read at the end again.
 */
export async function spend(engine: TestEngine, count: number): Promise<Spent> {
  const run = await engine.observe('one', newResources(count));
  const wire = recordWire(engine);
  await engine.resolve(run);
  const resolving = wire.taken();
  await engine.deriveForCis(run);
  await engine.publishTables(run, referredTo);
  wire.taken();
  await engine.publishTables(run, ['sn_sec_cmn_src_ci']);
  const publishing = wire.taken();
  wire.stop();
  const all = [...resolving, ...publishing];
  const of = (kind: Kind): number => all.filter((one) => one === kind).length;
  // One for the lookup rules, and one for the user's domain.
  const rules = 2;
  return { lookUps: of('look-up') + rules, identification: of('identify'), discoveredItems: of('write'), total: all.length + rules };
}

type Kind = 'look-up' | 'identify' | 'write';

/** Every request on the wire by its last item; the lab logs the items of a Batch before the Batch itself. */
function recordWire(engine: TestEngine): { taken(): Kind[]; stop(): void } {
  const { log } = engine.lab.lab;
  const record = log.record.bind(log);
  let kinds: Kind[] = [];
  let inBatch: Kind = 'look-up';
  log.record = (request: Parameters<typeof record>[0]) => {
    const kind: Kind = request.pattern.includes('identifyreconcile') ? 'identify' : request.method === 'GET' ? 'look-up' : 'write';
    if (request.pattern.startsWith('batch:')) inBatch = kind;
    else kinds.push(request.pattern.endsWith('/batch') ? inBatch : kind);
    record(request);
  };
  return {
    taken: () => {
      const taken = kinds;
      kinds = [];
      return taken;
    },
    stop: () => {
      log.record = record;
    },
  };
}
