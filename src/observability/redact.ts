/**
 * Keeps secrets out of logs: fields by their name, texts by their pattern. The second line of defence: secrets are held in
 * objects that print as `[secret]` (src/config/secret.ts), and errors carry none.
 */
const mask = '[secret]';

const secretName = /secret|password|passwd|token|authorization|assertion|api[-_]?key|cookie|credential|private[-_]?key/i;
/** Names that match the above but say only where or which: safe, and needed to find a fault. */
const harmlessName = /(id|file|path|count|name|type|url|expires\w*|origin)$/i;

const secretTexts: readonly (readonly [RegExp, string])[] = [
  [/\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{8,}/gi, `$1 ${mask}`],
  [/\b((?:client_secret|client_assertion|password|access_token|refresh_token|assertion)=)[^&\s"']+/gi, `$1${mask}`],
  [
    /("(?:client_secret|client_assertion|password|access_token|refresh_token|clientSecret|apiKey)"\s*:\s*")(?:[^"\\]|\\.)*"/gi,
    `$1${mask}"`,
  ],
  [/(\b[a-z][a-z0-9+.-]*:\/\/[^\s:/@]*:)[^\s/@]+@/gi, `$1${mask}@`],
  [/\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*/g, mask],
];

/** The text with everything masked that looks like a credential: bearer tokens, form fields, passwords in URLs, JWTs. */
export function redactText(text: string): string {
  return secretTexts.reduce((redacted, [pattern, replacement]) => redacted.replace(pattern, replacement), text);
}

/** A copy that is safe to log: fields with secret-like names masked, texts redacted, errors reduced to what says what happened. */
export function redact(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return redactText(value);
  if (typeof value === 'bigint') return String(value);
  if (typeof value !== 'object' || value === null) return value;
  if (depth > 8) return '[…]';
  if (Error.isError(value)) return redactError(value, depth);
  if ('toJSON' in value && typeof value.toJSON === 'function') return redact((value.toJSON as () => unknown)(), depth + 1);
  if (Array.isArray(value)) return value.slice(0, 100).map((item) => redact(item, depth + 1));
  return Object.fromEntries(
    Object.entries(value).map(([name, field]) => [
      name,
      isSecretName(name) && field !== null && field !== undefined ? mask : redact(field, depth + 1),
    ]),
  );
}

function isSecretName(name: string): boolean {
  return secretName.test(name) && !harmlessName.test(name);
}

/** Vendor errors drag whole requests along (headers included), so only named facts are taken. */
function redactError(error: Error, depth: number): unknown {
  const facts = error as Error & Readonly<Record<string, unknown>>;
  const kept = ['kind', 'code', 'status', 'service', 'requestId', 'remedy'].flatMap((name) =>
    facts[name] === undefined ? [] : [[name, redact(facts[name], depth + 1)] as const],
  );
  return {
    type: error.name,
    message: redactText(error.message),
    ...Object.fromEntries(kept),
    ...(error.stack === undefined ? {} : { stack: redactText(error.stack) }),
    ...(error.cause === undefined ? {} : { cause: redact(error.cause, depth + 1) }),
  };
}
