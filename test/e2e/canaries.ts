/**
 * An engine that is given every kind of secret there is, each known to the test: client secret, certificate and federated token for
 * Entra, client secret and password for ServiceNow, the ledger's password, Temporal's API key; some right, some wrong, because what
 * goes wrong is what gets written down.
 */
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { parse, stringify } from 'yaml';
import { loadOrCreateAuthority } from '../../lab/kit/tls.ts';
import { connectDatabase } from '../../src/ledger/database.ts';
import { makeCertificate } from '../integration/lab-azure/certificate.ts';
import { startKeyGate, type KeyGate } from '../integration/key-gate.ts';
import { superuserUrl, type TemporalForTests } from '../integration/servers.ts';
import { createEngine, startLab, type Engine, type Lab } from './harness.ts';
import { secretsOf, type Secret } from './leaks.ts';

export interface Canaries {
  readonly lab: Lab;
  readonly engine: Engine;
  /** Names of deployments, by how they sign in. */
  readonly deployments: { readonly certificate: string; readonly wrongSecret: string; readonly federated: string; readonly secret: string };
  /** Configuration files of engines whose ledger, Temporal or instance refuses them. */
  readonly refused: readonly string[];
  readonly secrets: readonly Secret[];
  readonly close: () => Promise<void>;
}

interface DeploymentFile {
  name: string;
  azure: { credential: object; clientId: string };
}
interface ConfigurationFile {
  readonly temporal: object;
  readonly ledger: object;
  readonly serviceNow: object;
  readonly deployments: DeploymentFile[];
}

/** With signs that are written in another way in a URL, in JSON and in base64. */
const canary = (): string => `canary-${randomBytes(9).toString('hex')}~/+"`;

export async function openCanaries(ledgerUrl: string, temporal: TemporalForTests): Promise<Canaries> {
  const lab = await startLab('generated:7:120');
  const ledger = await canaryLedger(ledgerUrl);
  const { gate, key, caFile } = await canaryGate(lab, temporal);
  const engine = await createEngine(lab, {
    ledgerUrl: ledger.url,
    temporalAddress: `localhost:${gate.port}`,
    namespace: temporal.namespace,
    taskQueue: 'defender-sync',
  });
  const secret = async (name: string, value: string): Promise<{ readonly file: string }> => {
    const file = join(engine.dir, name);
    await writeFile(file, value, { mode: 0o600 });
    return { file };
  };
  const wrong = { name: 'a wrong secret', value: canary() };
  const wrongFile = await secret('wrong', wrong.value);
  const certificate = await registeredCertificate(lab);
  const token = await federatedToken(lab);
  const password = lab.file.serviceNow.users.find(({ userName }) => userName === 'defender.sync')?.password ?? '';

  const written = parse(await readFile(engine.configFile, 'utf8')) as ConfigurationFile;
  const [first, second] = written.deployments;
  if (first === undefined || second === undefined) throw new Error('The lab has fewer than two app registrations.');
  const signedInBy = (name: string, credential: object): DeploymentFile => ({ ...first, name, azure: { ...first.azure, credential } });
  const configuration = {
    ...written,
    temporal: { ...written.temporal, tls: { caFile, serverName: 'localhost' }, apiKey: await secret('temporal-key', key) },
    serviceNow: {
      ...written.serviceNow,
      auth: {
        type: 'password',
        clientId: lab.file.serviceNow.oauthClients[0]?.clientId,
        clientSecret: { file: join(engine.dir, 'servicenow') },
        userName: 'defender.sync',
        password: await secret('servicenow-password', password),
      },
    },
    deployments: [
      signedInBy(first.name, { certificateFile: (await secret('certificate.pem', certificate.pem)).file }),
      { ...second, azure: { ...second.azure, credential: { clientSecret: wrongFile } } },
      signedInBy('federated', { federatedTokenFile: (await secret('federated-token', token)).file }),
      signedInBy('secret', first.azure.credential),
    ],
  };
  await writeFile(engine.configFile, stringify(configuration));
  const refused = async (name: string, changed: object): Promise<string> => {
    const file = join(engine.dir, `${name}.yaml`);
    await writeFile(file, stringify({ ...configuration, ...changed }));
    return file;
  };
  return {
    lab,
    engine,
    deployments: { certificate: first.name, wrongSecret: second.name, federated: 'federated', secret: 'secret' },
    refused: [
      await refused('wrong-ledger', { ledger: { url: await secret('wrong-ledger', ledger.withPassword(wrong.value)) } }),
      await refused('malformed-ledger', { ledger: { url: await secret('malformed-ledger', `Server=db;Password=${wrong.value}`) } }),
      await refused('wrong-key', { temporal: { ...configuration.temporal, apiKey: wrongFile } }),
      await refused('wrong-password', {
        serviceNow: { ...configuration.serviceNow, auth: { ...configuration.serviceNow.auth, password: wrongFile } },
      }),
    ],
    secrets: [
      ...(await secretsOf(lab, { userName: 'defender.sync', password })),
      wrong,
      { name: 'key of the certificate', value: longestLine(certificate.keyPem) },
      { name: 'federated token', value: token },
      { name: 'password of the ledger', value: ledger.password },
      { name: 'API key of Temporal', value: key },
    ],
    close: async () => {
      await engine.remove();
      await lab.stop();
      await gate.close();
      await ledger.remove();
    },
  };
}

/** Of a key as PEM: enough to know it by, whatever became of the line breaks. */
function longestLine(pem: string): string {
  return pem.split('\n').reduce((longest, line) => (line.length > longest.length && !line.startsWith('-----') ? line : longest), '');
}

interface CanaryLedger {
  readonly url: string;
  readonly password: string;
  readonly withPassword: (password: string) => string;
  readonly remove: () => Promise<void>;
}

/** A user of the database who may do what its owner may, with a password that is known. */
async function canaryLedger(ledgerUrl: string): Promise<CanaryLedger> {
  const user = `canary_${randomBytes(4).toString('hex')}`;
  const password = canary();
  const administrator = connectDatabase({ url: superuserUrl(ledgerUrl, 'postgres'), connections: 1 });
  await administrator.query(`CREATE ROLE ${user} LOGIN IN ROLE ${decodeURIComponent(new URL(ledgerUrl).username)} PASSWORD '${password}'`);
  const withPassword = (given: string): string => {
    const url = new URL(ledgerUrl);
    [url.username, url.password] = [user, encodeURIComponent(given)];
    return url.href;
  };
  return {
    url: withPassword(password),
    password,
    withPassword,
    remove: async () => {
      // What it owns is in the database of the test, which is dropped.
      await administrator.query(`ALTER ROLE ${user} NOLOGIN`);
      await administrator.close();
    },
  };
}

async function canaryGate(
  lab: Lab,
  temporal: TemporalForTests,
): Promise<{ readonly gate: KeyGate; readonly key: string; readonly caFile: string }> {
  const authority = await loadOrCreateAuthority(dirname(lab.file.azure.caFile));
  const key = `canary-${randomBytes(12).toString('hex')}`;
  const gate = await startKeyGate(temporal.address, await authority.issue({ hostNames: ['localhost', '127.0.0.1'] }), key);
  return { gate, key, caFile: authority.caFile };
}

async function registeredCertificate(lab: Lab): Promise<Awaited<ReturnType<typeof makeCertificate>>> {
  const certificate = await makeCertificate();
  const clientId = lab.file.azure.tenants[0]?.clientId;
  await lab.admin('POST', '/azure/change', { certificates: { clientId, add: { pem: certificate.certificatePem } } });
  return certificate;
}

async function federatedToken(lab: Lab): Promise<string> {
  const subject = 'system:serviceaccount:sync:worker';
  const clientId = lab.file.azure.tenants[0]?.clientId;
  await lab.admin('POST', '/azure/change', { federatedCredentials: { clientId, add: { name: 'worker', subject } } });
  return ((await lab.admin('POST', '/azure/federated-tokens', { subject })) as { token: string }).token;
}
