import { randomUUID } from 'node:crypto';
import { ArmError } from '../arm/errors.ts';
import type { JsonObject } from '../json.ts';
import type { QueryError } from './syntax.ts';

/** Outer form of every Resource Graph error; the reason is in `details` (errors/arg_400_*.json). */
function graphError(details: JsonObject[], headers: Record<string, string> = {}): ArmError {
  const message = `Please provide below info when asking for support: timestamp = ${new Date().toISOString()}, correlationId = ${randomUUID()}.`;
  return new ArmError(400, 'BadRequest', message, { details, headers });
}

/** A request that cannot be carried out as it stands. */
export function invalidRequest(code: string, message: string, headers?: Record<string, string>): ArmError {
  return graphError([{ code, message }], headers);
}

/** KQL that the service does not understand; names the first fragment. */
export function invalidQuery(error: QueryError): ArmError {
  return graphError([
    {
      code: 'InvalidQuery',
      message:
        'Query is invalid. Please refer to the documentation for the Azure Resource Graph service and fix the error before retrying.',
    },
    { code: error.code, message: error.code, line: error.line, characterPositionInLine: error.column, token: error.token },
  ]);
}

/** More than the service sends in one answer (azure.md §1.9). */
export function payloadTooLarge(bytes: number, limit: number): ArmError {
  return graphError([
    {
      code: 'ResponsePayloadTooLarge',
      message: `Response payload size is ${String(bytes)}, and has exceeded the limit of ${String(limit)}. Please consider querying less data at a time and make paginated call if needed.`,
    },
  ]);
}
