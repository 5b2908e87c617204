import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';

interface Service {
  readonly image?: string;
  readonly build?: string;
  readonly profiles?: readonly string[];
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly environment?: Readonly<Record<string, unknown>>;
  readonly secrets?: readonly string[];
  readonly configs?: readonly { readonly source: string; readonly target: string }[];
  readonly volumes?: readonly string[];
  readonly ports?: readonly string[];
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly network_mode?: string;
  readonly entrypoint?: readonly string[];
  readonly user?: string;
}

interface Compose {
  readonly services: Readonly<Record<string, Service>>;
  readonly secrets: Readonly<Record<string, { readonly file?: string }>>;
  readonly configs: Readonly<Record<string, { readonly file?: string; readonly content?: string }>>;
  readonly volumes: Readonly<Record<string, unknown>>;
}

const text = readFileSync(fileURLToPath(new URL('../../../docker-compose.yml', import.meta.url)), 'utf8');
const dockerfile = readFileSync(fileURLToPath(new URL('../../../Dockerfile', import.meta.url)), 'utf8');
const compose = parse(text) as Compose;
const services = Object.entries(compose.services);

test('has PostgreSQL, Temporal with schema, namespace and Web UI, the worker, and the lab for the demo only', () => {
  expect(Object.keys(compose.services)).toEqual([
    'postgres',
    'temporal-schema',
    'temporal',
    'temporal-namespace',
    'temporal-ui',
    'worker',
    'lab',
  ]);
  expect(services.filter(([, service]) => service.profiles !== undefined).map(([name, { profiles }]) => [name, profiles])).toEqual([
    ['lab', ['demo']],
  ]);
  expect(Number(/^postgres:(\d+)/.exec(compose.services['postgres']?.image ?? '')?.[1])).toBeGreaterThanOrEqual(16);
});

describe('everything that is named exists', () => {
  test.each(services)('%s', (_name, service) => {
    for (const [target, { condition }] of Object.entries(service.depends_on ?? {})) {
      const dependency = compose.services[target];
      expect({ target, exists: dependency !== undefined }).toEqual({ target, exists: true });
      // A service that is waited for until it is healthy has to have a way to say so.
      if (condition === 'service_healthy')
        expect({ target, healthcheck: dependency?.healthcheck?.test.length }).not.toEqual({ target, healthcheck: undefined });
      expect(['service_healthy', 'service_completed_successfully', 'service_started']).toContain(condition);
    }
    for (const secret of service.secrets ?? []) expect(Object.keys(compose.secrets)).toContain(secret);
    for (const { source } of service.configs ?? []) expect(Object.keys(compose.configs)).toContain(source);
    for (const volume of service.volumes ?? []) expect(Object.keys(compose.volumes)).toContain(volume.split(':')[0]);
    if (service.network_mode !== undefined) expect(Object.keys(compose.services)).toContain(service.network_mode.replace('service:', ''));
  });

  test('every secret and config is used', () => {
    expect(new Set(services.flatMap(([, { secrets = [] }]) => secrets))).toEqual(new Set(Object.keys(compose.secrets)));
    expect(new Set(services.flatMap(([, { configs = [] }]) => configs.map(({ source }) => source)))).toEqual(
      new Set(Object.keys(compose.configs)),
    );
  });

  test('a secret that a command reads is one that its service has', () => {
    for (const [name, service] of services) {
      const scripts = (service.configs ?? []).map(({ source }) => compose.configs[source]?.content ?? '');
      const read = [JSON.stringify([service.entrypoint, service.environment]), ...scripts]
        .join('\n')
        .matchAll(/\/run\/secrets\/([a-z-]+)/g);
      for (const [, secret] of read)
        expect({ name, secrets: service.secrets }).toMatchObject({ name, secrets: expect.arrayContaining([secret]) });
    }
  });
});

describe('no secret is in the file', () => {
  test('all come from files', () => {
    for (const [name, { file }] of Object.entries(compose.secrets)) expect(file).toBe(`./secrets/${name}`);
  });

  test('no environment variable holds one', () => {
    for (const [, { environment = {} }] of services) {
      for (const [name, value] of Object.entries(environment)) {
        if (/PASSWORD|PWD|SECRET|TOKEN/.test(name)) expect(value).toMatch(/^\/run\/secrets\//);
      }
    }
  });
});

test('ports are open to this machine only', () => {
  const ports = services.flatMap(([, { ports: some = [] }]) => some);
  expect(ports.length).toBeGreaterThan(0);
  for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:\d+:\d+$/);
});

test('dollar signs of scripts are escaped: compose would replace the others', () => {
  const scripts = [
    ...Object.values(compose.configs).map(({ content = '' }) => content),
    ...services.flatMap(([, { entrypoint = [] }]) => entrypoint),
  ];
  expect(scripts.join('\n').replaceAll('$$', '')).not.toContain('$');
});

test('the image: Debian slim, Node 24, not root', () => {
  expect(dockerfile.match(/^FROM .*/gm)).toEqual(['FROM node:24-bookworm-slim AS packages', 'FROM node:24-bookworm-slim']);
  expect(dockerfile).toMatch(/^USER defender-sync$/m);
  expect(dockerfile.indexOf('USER ')).toBeLessThan(dockerfile.indexOf('ENTRYPOINT'));
  expect(dockerfile).toContain('npm ci --omit=dev');
});
