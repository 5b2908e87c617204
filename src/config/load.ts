/**
 * Reads the configuration file: YAML with positions kept, every problem at once, each with its line and its fix.
 */
import { readFileSync } from 'node:fs';
import { dirname, relative, resolve } from 'node:path';
import { isMap, isScalar, isSeq, LineCounter, parseDocument, type Document, type Node } from 'yaml';
import type { z } from 'zod';
import { SyncError } from '../errors.ts';
import type { DeploymentName } from '../model.ts';
import { buildConfiguration } from './build.ts';
import { checkContent, isSection, type KeyPath } from './checks.ts';
import { readEnvironment, type EnvironmentVariables } from './environment.ts';
import { fileShape } from './schema.ts';
import { nearestWord } from './suggest.ts';
import type { Configuration, DeploymentSettings } from './types.ts';

export const defaultConfigurationFile = 'defender-sync.yaml';

/** One thing that is wrong with the file. Lines and columns count from 1. */
export interface ConfigurationProblem {
  readonly line: number;
  readonly column: number;
  /** `<key> <what is wrong> → <the fix>` */
  readonly text: string;
}

export interface LoadOptions {
  /** Default: the process's environment. */
  readonly variables?: EnvironmentVariables;
  /** False for commands that only read what is stored: secrets may then be absent. Default true. */
  readonly needSecrets?: boolean;
}

/**
 * Reads and validates a configuration file.
 * @param file relative to the current folder
 * Errors: {@link SyncError} `usage`; its message has one line per problem: `file:line:column what is wrong → the fix`.
 */
export function loadConfiguration(file: string = defaultConfigurationFile, options: LoadOptions = {}): Configuration {
  const absolute = resolve(file);
  const result = readConfiguration(readText(file, absolute), absolute, options);
  if ('configuration' in result) return result.configuration;
  const shown = shortest(absolute);
  const problems = result.problems.map(({ line, column, text }) => `${shown}:${line}:${column} ${text}`);
  throw new SyncError({ kind: 'usage', message: problems.join('\n') });
}

/** The deployment of that name. Throws {@link SyncError} `usage` with the nearest name when there is none. */
export function deploymentConfig(configuration: Configuration, name: string): DeploymentSettings {
  const found = configuration.deployments.find((deployment) => deployment.name === name);
  if (found !== undefined) return found;
  const names = configuration.deployments.map((deployment) => deployment.name);
  const nearest = nearestWord(name, names);
  throw new SyncError({
    kind: 'usage',
    message: `There is no deployment ${JSON.stringify(name)} in ${shortest(configuration.file)}${nearest === undefined ? '' : `; did you mean ${nearest}?`}`,
    remedy: `Use one of: ${names.join(', ')}.`,
  });
}

/** Names of all deployments, in configured order. */
export function deploymentNames(configuration: Configuration): readonly DeploymentName[] {
  return configuration.deployments.map((deployment) => deployment.name);
}

function readText(file: string, absolute: string): string {
  try {
    return readFileSync(absolute, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown reason';
    throw new SyncError({
      kind: 'usage',
      message: code === 'ENOENT' ? `There is no configuration file ${file}.` : `The configuration file ${file} cannot be read (${code}).`,
      remedy:
        code === 'ENOENT'
          ? 'Copy examples/defender-sync.yaml to defender-sync.yaml and fill it in, or name yours with --config.'
          : 'Let the user that runs defender-sync read it, or name another one with --config.',
      cause: error,
    });
  }
}

/**
 * Validates the text of a configuration file.
 * @param file its absolute path; relative paths in it start at its folder
 */
export function readConfiguration(
  text: string,
  file: string,
  options: LoadOptions = {},
): { readonly configuration: Configuration } | { readonly problems: readonly ConfigurationProblem[] } {
  const variables = options.variables ?? readEnvironment().variables;
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const at = (offset: number, problem: string): ConfigurationProblem => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col), text: problem };
  };
  if (document.errors.length > 0) {
    return {
      problems: document.errors.map((error) => at(error.pos[0], `${lowerFirst(firstLine(error.message))} → correct the YAML here`)),
    };
  }
  const content = withoutEmptyKeys(document.toJS() as unknown);
  if (content === null || content === undefined) {
    return { problems: [{ line: 1, column: 1, text: 'the file is empty → copy examples/defender-sync.yaml and fill it in' }] };
  }
  const shaped = fileShape.safeParse(content);
  const surroundings = { baseDir: dirname(file), variables, needSecrets: options.needSecrets ?? true };
  const findings = [
    ...(shaped.success ? [] : shaped.error.issues.flatMap((issue) => describeIssue(issue, content))),
    ...checkContent(content, surroundings),
  ];
  if (shaped.success && findings.length === 0) {
    return { configuration: buildConfiguration(shaped.data, { file, variables }) };
  }
  const problems = findings.map(({ path, text: what }) => at(offsetOf(document, path), `${nameOf(path)} ${what}`));
  return { problems: distinct(problems).toSorted((a, b) => a.line - b.line || a.column - b.column) };
}

/** A key without a value is a key that was not written. */
function withoutEmptyKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutEmptyKeys);
  if (!isSection(value)) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, field]) => (field === null ? [] : [[key, withoutEmptyKeys(field)] as const])),
  );
}

interface Described {
  readonly path: KeyPath;
  readonly text: string;
}

function describeIssue(issue: z.core.$ZodIssue, content: unknown): Described[] {
  const path = issue.path.filter((key) => typeof key !== 'symbol');
  if (issue.code === 'unrecognized_keys') {
    const known = knownKeys(path, content);
    return issue.keys.map((key) => {
      const nearest = nearestWord(key, known);
      const fix = nearest === undefined ? `remove it; known here: ${known.join(', ')}` : `did you mean ${nearest}?`;
      return { path: [...path, key], text: `is not a known key → ${fix}` };
    });
  }
  // A value that may have several shapes (a text or a list): what the nearest shape says, if one goes deeper than "wrong kind".
  if (issue.code === 'invalid_union') {
    const deeper = issue.errors.find((errors) => errors.every((error) => error.code !== 'invalid_type' || error.path.length > 0));
    if (deeper !== undefined && deeper.length > 0) {
      return deeper.flatMap((inner) => describeIssue({ ...inner, path: [...issue.path, ...inner.path] }, content));
    }
  }
  return [{ path, text: issue.message }];
}

/** The keys that the schema knows at a place of the file. */
function knownKeys(path: KeyPath, content: unknown): readonly string[] {
  return keysOf(fileShape, path, content);
}

function keysOf(schema: unknown, path: KeyPath, value: unknown): readonly string[] {
  const definition = definitionOf(schema);
  if (definition === undefined) return [];
  const inner = definition.innerType ?? definition.in;
  if (inner !== undefined) return keysOf(inner, path, value);
  if (definition.options !== undefined) {
    const fitting = definition.options.filter((option) => fitsDiscriminator(option, path.length === 0 ? value : undefined));
    return [...new Set(fitting.flatMap((option) => keysOf(option, path, value)))];
  }
  const [key, ...rest] = path;
  if (key === undefined) return Object.keys(definition.shape ?? {});
  const below = typeof key === 'number' ? definition.element : definition.shape?.[key];
  const valueBelow = typeof value === 'object' && value !== null ? (value as Readonly<Record<string | number, unknown>>)[key] : undefined;
  return keysOf(below, rest, valueBelow);
}

interface Definition {
  readonly innerType?: unknown;
  readonly in?: unknown;
  readonly options?: readonly unknown[];
  readonly shape?: Readonly<Record<string, unknown>>;
  readonly element?: unknown;
}

function definitionOf(schema: unknown): Definition | undefined {
  return typeof schema === 'object' && schema !== null && 'def' in schema ? (schema.def as Definition) : undefined;
}

/** Of a union of sections with a `type`, the one that the value says it is. */
function fitsDiscriminator(option: unknown, value: unknown): boolean {
  const type = definitionOf(definitionOf(option)?.shape?.['type']);
  if (!isSection(value) || type === undefined) return true;
  const values = (type as { readonly values?: readonly unknown[] }).values;
  return values === undefined || values.includes(value['type']);
}

// ------------------------------------------------------------------------------------------------------------- positions

/** Where a path begins in the text: its key if it has one, else the nearest section around it. */
function offsetOf(document: Document.Parsed, path: KeyPath): number {
  let node: unknown = document.contents;
  let offset = startOf(node) ?? 0;
  for (const key of path) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && item.key.value === key);
      if (pair === undefined) break;
      offset = startOf(pair.key) ?? offset;
      node = pair.value;
    } else if (isSeq(node) && typeof key === 'number') {
      node = node.items[key];
      offset = startOf(node) ?? offset;
    } else break;
  }
  return offset;
}

function startOf(node: unknown): number | undefined {
  return (node as Node | null | undefined)?.range?.[0];
}

function nameOf(path: KeyPath): string {
  if (path.length === 0) return 'the file';
  return path.map((key, index) => (typeof key === 'number' ? `[${key}]` : index === 0 ? key : `.${key}`)).join('');
}

function distinct(problems: readonly ConfigurationProblem[]): ConfigurationProblem[] {
  return [...new Map(problems.map((problem) => [`${problem.line}:${problem.column}:${problem.text}`, problem])).values()];
}

/** The shorter of the absolute and the relative path. */
function shortest(absolute: string): string {
  const fromHere = relative(process.cwd(), absolute);
  return fromHere !== '' && fromHere.length < absolute.length ? fromHere : absolute;
}

function firstLine(message: string): string {
  return message.split('\n', 1)[0] ?? message;
}

function lowerFirst(message: string): string {
  return message.charAt(0).toLowerCase() + message.slice(1);
}
