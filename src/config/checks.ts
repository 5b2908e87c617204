/**
 * What the values of the file have to agree on with each other and with this machine. Works on the raw content, whatever its shape,
 * so that its findings stand beside those of the schema instead of after them.
 */
import { accessSync, constants, readFileSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import type { EnvironmentVariables } from './environment.ts';

/** What the shell accepts as a variable's name. */
export const environmentVariableName = /^[A-Za-z_][A-Za-z0-9_]*$/;

export type KeyPath = readonly (string | number)[];

/** One thing that is wrong. `text` continues the sentence that the path begins and ends with the fix. */
export interface Finding {
  readonly path: KeyPath;
  readonly text: string;
}

export interface Surroundings {
  /** Relative paths in the file start here: the folder of the file. */
  readonly baseDir: string;
  readonly variables: EnvironmentVariables;
  /** False for commands that only read what is stored: secrets may then be absent. */
  readonly needSecrets: boolean;
}

/** All findings, in no particular order. */
export function checkContent(content: unknown, surroundings: Surroundings): Finding[] {
  return [...checkReferences(content, [], surroundings), ...checkDeployments(content), ...checkTemporal(content)];
}

function checkReferences(value: unknown, path: KeyPath, surroundings: Surroundings): Finding[] {
  if (Array.isArray(value)) return value.flatMap((item, index) => checkReferences(item, [...path, index], surroundings));
  if (!isSection(value)) return [];
  return Object.entries(value).flatMap(([key, field]) => {
    const here = [...path, key];
    if (key === 'env' && typeof field === 'string') return surroundings.needSecrets ? checkVariable(field, here, surroundings) : [];
    if (key === 'file' && typeof field === 'string') return surroundings.needSecrets ? checkSecretFile(field, here, surroundings) : [];
    if (key.endsWith('File') && typeof field === 'string') return checkFile(field, here, surroundings);
    return checkReferences(field, here, surroundings);
  });
}

function checkVariable(name: string, path: KeyPath, { variables }: Surroundings): Finding[] {
  // What is no name may be the secret itself: it is not looked up, and never repeated.
  if (!environmentVariableName.test(name)) return [];
  const value = variables[name];
  if (value === undefined || value === '') {
    const shown = /^[A-Z][A-Z0-9_]*$/.test(name) ? `the environment variable ${name}` : 'an environment variable';
    const state = value === undefined ? 'is not set' : 'is empty';
    return [{ path, text: `names ${shown}, which ${state} → set it for the process that runs defender-sync, or use { file: path }` }];
  }
  return checkAzureSecret(value, path);
}

function checkSecretFile(file: string, path: KeyPath, surroundings: Surroundings): Finding[] {
  const problems = checkFile(file, path, surroundings);
  if (problems.length > 0) return problems;
  const value = readFileSync(resolve(surroundings.baseDir, file), 'utf8').replace(/\r?\n$/, '');
  if (value === '') return [{ path, text: `names the file ${file}, which is empty → write the secret into it` }];
  return checkAzureSecret(value, path);
}

/** A GUID is never the value of an Entra client secret: it is the id that the portal shows beside it (azure.md §2.4). */
function checkAzureSecret(value: string, path: KeyPath): Finding[] {
  const isAzureSecret = path[0] === 'deployments' && path.includes('clientSecret');
  if (!isAzureSecret || !/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(value)) return [];
  return [
    {
      path,
      text: 'leads to a GUID, which is the id of a client secret → store the secret’s Value instead of its Secret ID; if it is no longer shown, create a new secret',
    },
  ];
}

function checkFile(file: string, path: KeyPath, { baseDir }: Surroundings): Finding[] {
  const absolute = resolve(baseDir, file);
  try {
    if (!statSync(absolute).isFile()) return [{ path, text: `names ${absolute}, which is not a file → name the file itself` }];
    accessSync(absolute, constants.R_OK);
    return [];
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    return [
      code === 'ENOENT' || code === 'ENOTDIR'
        ? {
            path,
            text: `names ${absolute}, which does not exist → create it or correct the path (relative paths start at the folder of this file)`,
          }
        : {
            path,
            text: `names ${absolute}, which cannot be read (${code ?? 'unknown reason'}) → let the user that runs defender-sync read it`,
          },
    ];
  }
}

function checkDeployments(content: unknown): Finding[] {
  const deployments = isSection(content) && Array.isArray(content['deployments']) ? (content['deployments'] as unknown[]) : [];
  const firstOfName = new Map<string, number>();
  return deployments.flatMap((deployment, index) => {
    if (!isSection(deployment)) return [];
    const findings = isSection(deployment['azure']) ? checkAzure(deployment['azure'], ['deployments', index, 'azure']) : [];
    if (isSection(deployment['scope'])) findings.push(...checkScope(deployment['scope'], ['deployments', index, 'scope']));
    const name = deployment['name'];
    if (typeof name !== 'string') return findings;
    const first = firstOfName.get(name);
    if (first === undefined) firstOfName.set(name, index);
    else {
      findings.push({
        path: ['deployments', index, 'name'],
        text: `is ${JSON.stringify(name)}, the name of deployments[${first}] → give each deployment a name of its own`,
      });
    }
    return findings;
  });
}

function checkAzure(azure: Section, path: KeyPath): Finding[] {
  const findings: Finding[] = [];
  const custom = azure['cloud'] === 'custom';
  for (const key of ['authorityHost', 'resourceManager', 'graph']) {
    if (azure[key] !== undefined && !custom) {
      findings.push({ path: [...path, key], text: 'is only for cloud: custom → remove it, or set cloud: custom' });
    }
    if (azure[key] === undefined && custom) {
      findings.push({ path, text: `has cloud: custom but no ${key} → add ${key}: https://…` });
    }
  }
  const managed = isSection(azure['credential']) && azure['credential']['managedIdentity'] === true;
  if (azure['clientId'] === undefined && !managed) {
    findings.push({ path: [...path, 'clientId'], text: 'is missing → write the application (client) id of the app registration' });
  }
  return findings;
}

function checkScope(scope: Section, path: KeyPath): Finding[] {
  return ['subscriptions', 'managementGroups'].flatMap((key) => {
    const seen = new Set<string>();
    const ids = Array.isArray(scope[key]) ? (scope[key] as unknown[]) : [];
    return ids.flatMap((id, index) => {
      if (typeof id !== 'string') return [];
      if (seen.has(id.toLowerCase())) return [{ path: [...path, key, index], text: `is listed twice (${id}) → remove one of the two` }];
      seen.add(id.toLowerCase());
      return [];
    });
  });
}

function checkTemporal(content: unknown): Finding[] {
  const temporal = isSection(content) ? content['temporal'] : undefined;
  if (!isSection(temporal)) return [];
  const findings: Finding[] = [];
  if (temporal['address'] === undefined) {
    for (const key of ['tls', 'apiKey']) {
      if (temporal[key] !== undefined) {
        findings.push({
          path: ['temporal', key],
          text: 'needs an address: the local server has neither TLS nor keys → add address: host:port, or remove it',
        });
      }
    }
  }
  const tls = temporal['tls'];
  if (isSection(tls) && (tls['certificateFile'] === undefined) !== (tls['keyFile'] === undefined)) {
    findings.push({ path: ['temporal', 'tls'], text: 'has only half of a client certificate → give both certificateFile and keyFile' });
  }
  return findings;
}

type Section = Readonly<Record<string, unknown>>;

/** Whether a raw value is a map. */
export function isSection(value: unknown): value is Section {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
