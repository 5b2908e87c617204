import { dateTime } from '../values.ts';

const DAY_MS = 86_400_000;

/**
 * The value of a `javascript:` expression in a query. The few helpers that the references use are known;
 * anything else evaluates to nothing, which no record equals.
 */
export function scriptValue(expression: string, context: { now: Date; userSysId: string }): string {
  const call = /^gs\.(\w+)\((?:'?(-?\d+)'?)?\)$/.exec(expression.trim());
  if (call === null) return '';
  const amount = Number(call[2] ?? 0);
  const nowMs = context.now.getTime();
  switch (call[1]) {
    case 'getUserID':
      return context.userSysId;
    case 'nowDateTime':
    case 'now':
      return dateTime(context.now);
    case 'daysAgo':
      return dateTime(new Date(nowMs - amount * DAY_MS));
    case 'hoursAgo':
      return dateTime(new Date(nowMs - amount * 3_600_000));
    case 'minutesAgo':
      return dateTime(new Date(nowMs - amount * 60_000));
    case 'daysAgoStart':
      return `${dateTime(new Date(nowMs - amount * DAY_MS)).slice(0, 10)} 00:00:00`;
    case 'beginningOfLastMonth': {
      const start = new Date(Date.UTC(context.now.getUTCFullYear(), context.now.getUTCMonth() - 1, 1));
      return dateTime(start);
    }
    default:
      return '';
  }
}
