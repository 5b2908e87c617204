/** Do rate-limit rules leave a run enough requests (servicenow.md §5.8)? */
import type { SysId } from '../model.ts';
import type { RateLimit } from '../servicenow/index.ts';
import { isAnswer, ok, warning } from './results.ts';
import type { Check, CheckContext, Result } from './types.ts';

export const serviceNowRateLimits: Check = {
  id: 'servicenow.rate-limits',
  area: 'ServiceNow model',
  question: 'Do rate-limit rules leave a run enough requests?',
  fixedBy: 'A ServiceNow administrator',
  needs: ['servicenow.sign-in'],
  run: async (context) => {
    const { facts, clients } = context;
    // Reads by the Table and the Batch API: afterwards the answers have named the rules that count them.
    await facts.dictionary();
    const rules = clients.serviceNow.rateLimits();
    if (rules.length === 0) return [ok('No rate-limit rule counts what the engine asks: no answer named one.')];
    const load = await loadOf(context);
    const results: Result[] = [];
    for (const rule of rules) results.push(...(await resultOf(context, rule, load)));
    if (results.length > 0) return results;
    return [
      ok(
        `${rules.map(({ requests, perHour }) => `${requests}: ${perHour} requests an hour`).join('; ')}. That is enough. ${load.sentence}`,
      ),
    ];
  },
};

/** Records of one look-up and of one write, before the instance has shown what it can do (batch-pace.ts); items of an IRE payload. */
const recordsPerBatch = 100;
const cisPerPayload = 500;
/** Preflight, dictionary, rules, integration records: what any run asks, however small its estate. */
const readsOfAnyRun = 60;

interface Load {
  /** What a run sends that writes everything. */
  readonly batches: number;
  /** How that comes about. */
  readonly sentence: string;
}

/** By what the ledger knows; before the first run, by what Defender for Cloud counts. */
async function loadOf(context: CheckContext): Promise<Load> {
  const known = await context.known?.counts();
  if (known !== undefined && known.records > 0) return loadBy(known, 'The ledger knows');
  const assessments = await countAssessments(context);
  if (assessments === undefined) return { batches: readsOfAnyRun, sentence: 'How large the estate is, is not known yet.' };
  // A result each, and at the most a discovered item and a CI each.
  return loadBy(
    { records: 2 * assessments, cis: assessments },
    `Defender for Cloud counts ${formatted(assessments)} assessments, that is at most`,
  );
}

function loadBy({ records, cis }: { readonly records: number; readonly cis: number }, start: string): Load {
  const batches = 2 * Math.ceil(records / recordsPerBatch) + 2 * Math.ceil(cis / cisPerPayload) + readsOfAnyRun;
  return {
    batches,
    sentence: `${start} ${formatted(records)} records and ${formatted(cis)} CIs: a run that writes all of them sends ≈ 2 × ${formatted(records)} / ${recordsPerBatch} + 2 × ${formatted(cis)} / ${cisPerPayload} + ${readsOfAnyRun} = ${formatted(batches)} requests (one look-up and one write each; a run that finds nothing changed, about ${readsOfAnyRun}).`,
  };
}

async function countAssessments({ facts }: CheckContext): Promise<number | undefined> {
  const counts = await facts.assessmentCounts();
  return counts === undefined || counts.size === 0 ? undefined : [...counts.values()].reduce((sum, count) => sum + count, 0);
}

/** Nothing where the rule is wide enough. */
async function resultOf(context: CheckContext, rule: RateLimit, load: Load): Promise<readonly Result[]> {
  // Everything that grows with the estate goes through the Batch API, which is counted once per batch.
  const needed = rule.requests.endsWith('/batch') ? load.batches : readsOfAnyRun;
  if (needed <= rule.perHour) return [];
  const hours = Math.ceil(needed / rule.perHour);
  const name = await nameOf(context, rule.rule);
  const page = `System Web Services › REST › Rate Limit Rules (/sys_rate_limit_rules.do?sys_id=${rule.rule})`;
  return [
    warning(
      'rate-limit-low',
      `Rate-limit rule ${name} allows ${formatted(rule.perHour)} requests an hour for ${rule.requests}. ${load.sentence} ${formatted(needed)} / ${formatted(rule.perHour)}: at least ${hours} hours.`,
      `${page}: Request limit per hour ${formatted(needed)} or more; or a rule of its own for the integration user (Apply to: single user), which goes before those of roles and of all users.`,
      { follows: `A run waits for the next hour each time the limit is reached: the first takes at least ${hours} hours.` },
    ),
  ];
}

/** Few may read the rules; the answers name them by sys_id. */
async function nameOf({ clients, signal }: CheckContext, sysId: string): Promise<string> {
  try {
    const row = await clients.serviceNow.table.get('sys_rate_limit_rules', sysId as SysId, ['name'], signal);
    return typeof row?.['name'] === 'string' ? `"${row['name']}" (${sysId})` : sysId;
  } catch (error) {
    if (!isAnswer(error)) throw error;
    return sysId;
  }
}

function formatted(count: number): string {
  return count.toLocaleString('en-US');
}
