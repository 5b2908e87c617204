/**
 * The shape of the configuration file. Only what one value can say about itself stands here; what several values or the machine
 * have to agree on (files, variables, duplicates) is in checks.ts, so that both kinds of problems are reported together.
 *
 * Every message continues the sentence that its key begins, and ends with the fix: `… must be a number → for example 4`.
 */
import { z } from 'zod';
import { environmentVariableName } from './checks.ts';
import { cronProblem, isTimeZone } from './schedule-words.ts';

type Wording = { readonly input?: unknown };

/** The error of a required value of the given kind. */
function expected(what: string, example: string) {
  return ({ input }: Wording): string =>
    input === undefined
      ? `is missing → write ${what}, for example ${example}`
      : `must be ${what}, not ${kindOf(input)} → ${typeof input === 'number' || typeof input === 'boolean' ? 'put it in quotes' : `for example ${example}`}`;
}

/** What a value is, in YAML's words. */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a section';
  return typeof value === 'string' ? 'text' : typeof value === 'boolean' ? 'true or false' : 'a number';
}

function section<Shape extends z.ZodRawShape>(shape: Shape, example: string): z.ZodObject<Shape, z.core.$strict> {
  return z.strictObject(shape, {
    error: ({ code, input }) =>
      code === 'unrecognized_keys'
        ? undefined
        : input === undefined
          ? `is missing → add it, for example ${example}`
          : `must be a section of keys, not ${kindOf(input)} → for example ${example}`,
  });
}

const text = (what: string, example: string, maximum = 255) =>
  z
    .string({ error: expected(what, example) })
    .refine((value) => value.trim() !== '', { error: `is empty → write ${what}, for example ${example}`, abort: true })
    .max(maximum, { error: `is longer than ${maximum} characters → shorten it` });

const guid = (what: string) =>
  text(what, '00000000-0000-0000-0000-000000000000')
    .toLowerCase()
    .regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, {
      error: `is not a GUID → copy ${what} from the Azure portal; it looks like 00000000-0000-0000-0000-000000000000`,
    });

const path = (what: string, example: string) => text(`the path of ${what}`, example, 4096);

const wholeNumber = (minimum: number, maximum: number, unit: string) =>
  z
    .number({ error: ({ input }) => `must be a whole number, not ${kindOf(input)} → write a number of ${unit} without quotes` })
    .refine((value) => Number.isInteger(value) && value >= minimum && value <= maximum, {
      error: `must be a whole number from ${minimum} to ${maximum} → choose a number of ${unit} in that range`,
    });

const yesOrNo = z.boolean({ error: ({ input }) => `must be true or false, not ${kindOf(input)} → write true or false without quotes` });

const oneOf = <const Words extends readonly [string, ...string[]]>(words: Words) =>
  z.enum(words, {
    error: ({ input }) =>
      `${input === undefined ? 'is missing' : typeof input === 'string' ? `is ${JSON.stringify(input.slice(0, 60))}, which is not known` : `must be text, not ${kindOf(input)}`} → write one of: ${words.join(', ')}`,
  });

/** An origin: https, no user, no path, no query. Nothing in the engine speaks plain HTTP. */
const httpsOrigin = (what: string, example: string) =>
  text(what, example, 2048)
    .refine((value) => isHttpsOrigin(value), {
      error: `is not the https address of a host → write ${what} without path, user or query, for example ${example}`,
    })
    .transform((value) => new URL(value).origin);

function isHttpsOrigin(value: string): boolean {
  if (!URL.canParse(value)) return false;
  const url = new URL(value);
  return url.protocol === 'https:' && url.username === '' && url.password === '' && url.pathname === '/' && url.search + url.hash === '';
}

const secretFix = 'put it into an environment variable and write { env: NAME }, or into a file and write { file: path }';
const secret = z
  .strictObject(
    {
      env: text('the name of an environment variable', 'AZURE_CLIENT_SECRET')
        .regex(environmentVariableName, {
          error: 'is not the name of an environment variable → letters, digits and _ only; the secret itself never stands here',
        })
        .optional(),
      file: path('a file that holds the secret and nothing else', '/run/secrets/azure-client-secret').optional(),
    },
    {
      error: ({ code, input }) =>
        code === 'unrecognized_keys'
          ? undefined
          : input === undefined
            ? `is missing → ${secretFix}`
            : `is written out, and a secret never stands in this file → ${secretFix}; then replace the secret, because this file may have been copied`,
    },
  )
  .transform((value, context) => {
    if (value.env !== undefined && value.file === undefined) return { env: value.env };
    if (value.file !== undefined && value.env === undefined) return { file: value.file };
    context.issues.push({ code: 'custom', input: value, message: `must name exactly one source → ${secretFix}` });
    return z.NEVER;
  });

// ------------------------------------------------------------------------------------------------------------- temporal

const hostAndPort = text('host and port', 'temporal.example.com:7233').regex(/^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9._-]+):\d{1,5}$/, {
  error: 'is not host:port → write it without https://, for example temporal.example.com:7233',
});

const tls = z.union(
  [
    z.boolean(),
    z.strictObject({
      caFile: path('a PEM file', '/etc/temporal/ca.pem').optional(),
      certificateFile: path('a PEM file', '/etc/temporal/client.pem').optional(),
      keyFile: path('a PEM file', '/etc/temporal/client.key').optional(),
      serverName: text('a host name', 'temporal.example.com').optional(),
    }),
  ],
  { error: ({ input }) => `must be true or a section, not ${kindOf(input)} → write true, or caFile, certificateFile, keyFile, serverName` },
);

const temporal = section(
  {
    address: hostAndPort.optional(),
    namespace: text('a namespace', 'default').optional(),
    taskQueue: text('the name of a task queue', 'defender-sync').optional(),
    tls: tls.optional(),
    apiKey: secret.optional(),
    uiUrl: text('the address of the Web UI', 'https://temporal.example.com', 2048)
      .refine((value) => URL.canParse(value) && /^https?:$/.test(new URL(value).protocol), {
        error: 'is not a web address → for example https://temporal.example.com',
      })
      .transform((value) => value.replace(/\/+$/, ''))
      .optional(),
  },
  'address: temporal.example.com:7233',
);

// ----------------------------------------------------------------------------------------------------------- serviceNow

const clientId = text('the client id of the OAuth registry record', '0123456789abcdef0123456789abcdef');
const userName = text('a user name', 'defender.sync');

const authTypes = ['client-credentials', 'password', 'basic'] as const;
const auth = z.discriminatedUnion(
  'type',
  [
    z.strictObject({ type: z.literal('client-credentials'), clientId, clientSecret: secret }),
    z.strictObject({ type: z.literal('password'), clientId, clientSecret: secret, userName, password: secret }),
    z.strictObject({ type: z.literal('basic'), userName, password: secret }),
  ],
  {
    error: ({ input }) =>
      typeof input === 'object' && input !== null && !Array.isArray(input)
        ? `is ${'type' in input ? 'not known' : 'missing'} → write one of: ${authTypes.join(', ')}`
        : input === undefined
          ? 'is missing → add it, for example { type: client-credentials, clientId: …, clientSecret: { env: SERVICENOW_CLIENT_SECRET } }'
          : `must be a section of keys, not ${kindOf(input)} → for example { type: client-credentials, clientId: …, clientSecret: { env: SERVICENOW_CLIENT_SECRET } }`,
  },
);

const serviceNow = section(
  {
    url: httpsOrigin('the address of the instance', 'https://acme.service-now.com'),
    auth,
    caFile: path('a PEM file', '/etc/defender-sync/ca.pem').optional(),
    source: text('a source', 'Microsoft Defender for Cloud', 100).optional(),
    dataSource: text('a value of discovery_source', 'Microsoft Defender for Cloud', 100).optional(),
    runAs: section(
      { mode: oneOf(['enforce', 'report']).optional(), user: text('a user name', 'VR.System', 100).optional() },
      'mode: enforce',
    ).optional(),
    concurrentRequests: wholeNumber(1, 64, 'requests').optional(),
    batchTransactionQuotaSeconds: wholeNumber(1, 3600, 'seconds').optional(),
    transactionQuotaSeconds: wholeNumber(1, 3600, 'seconds').optional(),
    settleSeconds: wholeNumber(1, 3600, 'seconds').optional(),
    notApplicableResult: text('a value of the choice list of result', 'not_applicable', 40).optional(),
    hostTags: yesOrNo.optional(),
  },
  'url: https://acme.service-now.com',
);

// ---------------------------------------------------------------------------------------------------------- deployments

const cloud = z.enum(['public', 'usgovernment', 'custom'], {
  error: ({ input }) =>
    typeof input === 'string' && /china|mooncake/i.test(input)
      ? 'is Azure China, where Defender for Cloud ended on 18 August 2026 → remove this deployment'
      : `${typeof input === 'string' ? `is ${JSON.stringify(input.slice(0, 60))}, which is not known` : `must be text, not ${kindOf(input)}`} → write one of: public, usgovernment, custom`,
});

const credential = section(
  {
    clientSecret: secret.optional(),
    certificateFile: path('a PEM file with certificate and private key', '/run/secrets/app.pem').optional(),
    federatedTokenFile: path('a file with the federated token', '/var/run/secrets/azure/tokens/azure-identity-token').optional(),
    managedIdentity: z.literal(true, { error: 'must be true → write managedIdentity: true, or use another credential' }).optional(),
  },
  'clientSecret: { env: AZURE_CLIENT_SECRET }',
).check((context) => {
  const named = Object.values(context.value).filter((value) => value !== undefined).length;
  if (named === 1) return;
  context.issues.push({
    code: 'custom',
    input: context.value,
    message: `must name exactly one credential, not ${named} → keep one of: clientSecret, certificateFile, federatedTokenFile, managedIdentity`,
  });
});

const azure = section(
  {
    cloud: cloud.optional(),
    authorityHost: httpsOrigin('the address of the token authority', 'https://login.microsoftonline.com').optional(),
    resourceManager: httpsOrigin('the address of Azure Resource Manager', 'https://management.azure.com').optional(),
    graph: httpsOrigin('the address of Microsoft Graph', 'https://graph.microsoft.com').optional(),
    caFile: path('a PEM file', '/etc/defender-sync/ca.pem').optional(),
    tenantId: guid('the directory (tenant) id'),
    clientId: guid('the application (client) id').optional(),
    credential,
  },
  'tenantId: …, clientId: …, credential: …',
);

const listOf = <Item extends z.ZodType>(item: Item, what: string, example: string) =>
  z
    .array(item, {
      error: ({ input }) =>
        input === undefined
          ? `is missing → add at least one, for example ${example}`
          : `must be a list of ${what}, not ${kindOf(input)} → for example ${example}`,
    })
    .min(1, { error: `is empty → name at least one, for example ${example}` });

const scope = section(
  {
    subscriptions: listOf(guid('the subscription id'), 'subscription ids', '[00000000-0000-0000-0000-000000000000]').optional(),
    managementGroups: listOf(
      text('the id of a management group', 'contoso-production', 90).regex(/^[A-Za-z0-9_().-]+$/, {
        error: 'is not the id of a management group → write its id (letters, digits, - _ ( ) .), not its display name or path',
      }),
      'management group ids',
      '[contoso-production]',
    ).optional(),
  },
  'subscriptions: [00000000-0000-0000-0000-000000000000]',
).check((context) => {
  const { subscriptions, managementGroups } = context.value;
  if ((subscriptions === undefined) !== (managementGroups === undefined)) return;
  context.issues.push({
    code: 'custom',
    input: context.value,
    message: 'must name either subscriptions or managementGroups → keep one of the two lists',
  });
});

const cronLine = text('a cron expression', '"30 2 * * *"').superRefine((value, context) => {
  const problem = cronProblem(value);
  if (problem !== undefined) context.addIssue({ code: 'custom', message: problem });
});

const schedule = section(
  {
    cron: z.union([cronLine, listOf(cronLine, 'cron expressions', '["30 2 * * *"]')], {
      error: ({ input }) =>
        input === undefined
          ? 'is missing → write a cron expression in quotes, for example "30 2 * * *"'
          : `must be a cron expression or a list of them, not ${kindOf(input)} → for example "30 2 * * *"`,
    }),
    timeZone: text('an IANA time zone', 'Europe/Berlin').refine(isTimeZone, {
      error: 'is not a time zone → write its IANA name, for example Europe/Berlin or UTC',
    }),
    jitterMinutes: wholeNumber(0, 720, 'minutes').optional(),
    catchUpMinutes: wholeNumber(1, 10_080, 'minutes').optional(),
    paused: yesOrNo.optional(),
  },
  'cron: "30 2 * * *"',
);

const deployment = section(
  {
    name: text('a name', 'production', 63).regex(/^[a-z0-9][a-z0-9-]*$/, {
      error: 'is not a usable name → use lower-case letters, digits and -, beginning with a letter or digit',
    }),
    azure,
    scope,
    incidents: yesOrNo.optional(),
    subAssessments: yesOrNo.optional(),
    concurrentRequests: wholeNumber(1, 64, 'requests').optional(),
    schedule: schedule.optional(),
  },
  'name: production',
);

/** A year: longer than anybody waits, short enough to be a number of milliseconds that timers take. */
const park = section(
  { recheckSeconds: wholeNumber(1, 86_400, 'seconds').optional(), giveUpHours: wholeNumber(1, 8_760, 'hours').optional() },
  'recheckSeconds: 300',
);

export const fileShape = section(
  {
    stateDir: path('a folder', '.defender-sync').optional(),
    temporal: temporal.optional(),
    ledger: section(
      { url: secret.optional(), historyDays: wholeNumber(1, 36_500, 'days').optional() },
      'url: { env: LEDGER_URL }',
    ).optional(),
    serviceNow,
    park: park.optional(),
    deployments: listOf(deployment, 'deployments', '- name: production'),
  },
  'serviceNow: … and deployments: …',
);

export type FileContent = z.output<typeof fileShape>;
