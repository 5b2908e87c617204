import type { JsonObject } from '../../json.ts';
import type { EstateChanges, StatusFlip } from '../model.ts';
import { choose, hash32 } from './hash.ts';

export type StatusCode = 'Healthy' | 'Unhealthy' | 'NotApplicable';

export interface Status {
  readonly code: StatusCode;
  readonly cause: string | undefined;
  readonly description: string | undefined;
  readonly firstEvaluationDate: string;
  readonly statusChangeDate: string;
}

/** Everything in a generated estate happened before this moment: an estate does not depend on the day it is started. */
export const ESTATE_EPOCH_MS = Date.UTC(2026, 9, 1);
const DAY_MS = 86_400_000;

/** Causes of NotApplicable seen in the wild (azure.md §1.4). */
const NOT_APPLICABLE: readonly (readonly [cause: string, description: string])[] = [
  [
    'OffByPolicy',
    'The effective policy for the assessment was evaluated to off - use Microsoft.Authorization/policyAssignments to turn this assessment on',
  ],
  ['Exempt', 'The resource is exempt from this assessment'],
  ['NoNsgOnVm', 'No network security group is associated with the machine'],
  ['NonInternetFacingVms', 'The machine is not reachable from the internet'],
  ['MissingDataOrUnsupported', 'Data is missing or the resource is not supported'],
  ['Unsupported OS', 'The operating system of the machine is not supported'],
  ['Missing scan data', 'No scan results are available for this resource'],
  ['VnetHasNoAppGateways', 'The virtual network has no application gateways'],
  ['NA', ''],
];

/** The share of a row's draw from which on it does not apply, and below which it is healthy. */
const NOT_APPLICABLE_FROM = 88;
const HEALTHY_BELOW = 55;

/** The code of row `ordinal` of a stream of rows, with the flips that met it. */
export function statusCodeOf(seed: number, stream: number, ordinal: number, changes: EstateChanges): StatusCode {
  const share = hash32(seed, stream, ordinal, 1) % 100;
  if (share >= NOT_APPLICABLE_FROM) return 'NotApplicable';
  return share < HEALTHY_BELOW !== lastFlip(seed, stream, ordinal, changes.flips).odd ? 'Healthy' : 'Unhealthy';
}

/** The whole status of that row. */
export function statusOf(seed: number, stream: number, ordinal: number, changes: EstateChanges): Status {
  const code = statusCodeOf(seed, stream, ordinal, changes);
  const draw = hash32(seed, stream, ordinal, 1);
  const firstMs = ESTATE_EPOCH_MS - (hash32(seed, stream, ordinal, 2) % 400) * DAY_MS - (draw % DAY_MS);
  const changedMs = firstMs + (hash32(seed, stream, ordinal, 3) % 30) * (DAY_MS / 10);
  const firstEvaluationDate = timestamp(firstMs);
  if (code === 'NotApplicable') {
    const [cause, description] = choose(NOT_APPLICABLE, draw >>> 8);
    return { code, cause, description, firstEvaluationDate, statusChangeDate: timestamp(changedMs) };
  }
  return {
    code,
    // Healthy can carry a cause too (azure.md §1.4).
    cause: code === 'Healthy' && (draw % 100) % 20 === 0 ? 'JitIsEnabled' : undefined,
    description: undefined,
    firstEvaluationDate,
    statusChangeDate: lastFlip(seed, stream, ordinal, changes.flips).at ?? timestamp(changedMs),
  };
}

/** Whether the flips that met a row leave it on the other side, and when the last one did. */
function lastFlip(seed: number, stream: number, ordinal: number, flips: readonly StatusFlip[]): { odd: boolean; at: string | undefined } {
  let odd = false;
  let at: string | undefined;
  for (const flip of flips) {
    if (hash32(seed ^ flip.seed, stream, ordinal, 4) % 10_000 >= flip.percent * 100) continue;
    odd = !odd;
    at = flip.at;
  }
  return { odd, at };
}

/** Seven fractional digits, as Azure writes them. */
function timestamp(ms: number): string {
  return new Date(ms).toISOString().replace('Z', '0000Z');
}

/** The `status` member of a row; causes and descriptions are left out where there are none. */
export function statusMember(status: Status): JsonObject {
  return {
    code: status.code,
    cause: status.cause,
    description: status.description,
    firstEvaluationDate: status.firstEvaluationDate,
    statusChangeDate: status.statusChangeDate,
  };
}
