/**
 * The user the embedded server runs as. PostgreSQL refuses to run as root, so as root it runs as `nobody`;
 * everything it touches must then lie where that user can get to.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const runFile = promisify(execFile);

export interface ServerUser {
  readonly uid: number;
  readonly gid: number;
}

/** `nobody` and `nogroup` of Debian and of most container images; PostgreSQL needs no entry in the user database. */
const unprivilegedUser: ServerUser = { uid: 65534, gid: 65534 };

/** Undefined: whoever we are. */
export function serverUser(): ServerUser | undefined {
  return process.getuid?.() === 0 ? unprivilegedUser : undefined;
}

/** True when the user can enter the folder, through every folder above it. Asked of the kernel, because modes alone do not tell (ACLs, mounts). */
export async function canEnter(folder: string, user: ServerUser | undefined): Promise<boolean> {
  try {
    await runFile('/bin/sh', ['-c', 'cd -- "$1"', 'sh', folder], { cwd: '/', env: {}, ...user });
    return true;
  } catch {
    return false;
  }
}
