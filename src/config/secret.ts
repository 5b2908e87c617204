/**
 * Secrets: named in the configuration, read at the moment of use, never printed.
 */
import { readFileSync } from 'node:fs';
import { inspect } from 'node:util';
import { SyncError } from '../errors.ts';
import type { EnvironmentVariables } from './environment.ts';

/** Where a secret comes from. Nothing else is accepted: a secret written into the configuration would be copied along with it. */
export type SecretRef = { readonly env: string } | { readonly file: string };

const mask = '[secret]';

/** Code of the error of a secret that is not there: told apart from one that is refused. */
export const secretUnreadable = 'secret-unreadable';

/**
 * A secret that is read when it is used, so that a rotated one works without a restart. Whatever prints it (a log, an error, JSON)
 * prints `[secret]`.
 */
export class Secret {
  /** Where it comes from, for messages: `the environment variable X` or `the file /path`. */
  readonly origin: string;
  readonly #read: () => string | undefined;

  constructor(origin: string, read: () => string | undefined) {
    this.origin = origin;
    this.#read = read;
  }

  /** The secret itself, read now. Throws {@link SyncError} `usage` when it is not there or empty. */
  reveal(): string {
    let value: string | undefined;
    try {
      value = this.#read();
    } catch (error) {
      throw new SyncError({
        kind: 'usage',
        code: secretUnreadable,
        message: `The secret in ${this.origin} cannot be read (${codeOf(error)}).`,
        remedy: 'Put the secret back there, readable for the user that runs this; nothing has to be restarted.',
        cause: error,
      });
    }
    if (value === undefined || value === '') {
      throw new SyncError({
        kind: 'usage',
        code: secretUnreadable,
        message: `${capitalised(this.origin)} ${value === undefined ? 'is not set' : 'is empty'}, so there is no secret.`,
        remedy: `Put the secret there${this.origin.startsWith('the file') ? '; nothing has to be restarted' : ' and start again'}.`,
      });
    }
    return value;
  }

  /**
   * Where to ask for it again and again: what it is by now or, while it cannot be read because it is being replaced, what it was last.
   * @throws SyncError `usage`, at once, when it is not there now
   */
  follow(): () => string {
    let last = this.reveal();
    return () => {
      try {
        last = this.reveal();
      } catch {
        // Whoever uses it is told by the server whether it is still good.
      }
      return last;
    };
  }

  toString(): string {
    return mask;
  }

  toJSON(): string {
    return mask;
  }

  [inspect.custom](): string {
    return mask;
  }
}

/**
 * A secret by reference. A file's last line break is not part of the secret (editors and `echo` add one).
 * @param ref `file` must be absolute
 */
export function secretFrom(ref: SecretRef, variables: EnvironmentVariables): Secret {
  return 'env' in ref
    ? new Secret(`the environment variable ${ref.env}`, () => variables[ref.env])
    : new Secret(`the file ${ref.file}`, () => readFileSync(ref.file, 'utf8').replace(/\r?\n$/, ''));
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? 'unknown reason';
}
