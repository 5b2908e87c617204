/** Which certificate authorities are trusted: the platform's, and those of a file that may be replaced while the process runs. */
import { X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls';
import { SyncError } from './errors.ts';

export interface Trust {
  /**
   * What to verify servers with, the same object as long as the file is the same; undefined: the platform's own authorities. A file
   * that was good and cannot be read for now (while it is being replaced) leaves everything as it was.
   * @throws SyncError `misconfigured` when the file was never good
   */
  current(): SecureContext | undefined;
}

/** Code of the error of a file that cannot be read, or holds no certificate. */
export const caFileUnreadable = 'ca-file-unreadable';

export function createTrust(caFile: string | undefined): Trust {
  let version: string | undefined;
  let context: SecureContext | undefined;
  return {
    current() {
      if (caFile === undefined) return undefined;
      const now = versionOf(caFile);
      if (context !== undefined && (now === undefined || now === version)) return context;
      try {
        // Made once per file: with the list itself in an agent's options every connection would parse hundreds of certificates again.
        context = createSecureContext({ ca: trustedAuthorities(caFile) });
        version = now;
      } catch (error) {
        if (context === undefined) throw error;
      }
      return context;
    },
  };
}

/**
 * The certificates to trust, as PEM: the platform's and those of `caFile`, read now; undefined when nothing is added.
 * @throws SyncError `misconfigured` when the file cannot be read or holds no certificate
 */
export function trustedAuthorities(caFile: string | undefined): string[] | undefined {
  return caFile === undefined ? undefined : [...getCACertificates('default'), readAuthorities(caFile)];
}

function readAuthorities(caFile: string): string {
  let pem: string | undefined;
  try {
    pem = readFileSync(caFile, 'utf8');
    // Whatever is not a certificate would be passed over in silence, and every server be untrusted.
    new X509Certificate(pem);
    return pem;
  } catch (error) {
    throw new SyncError({
      kind: 'misconfigured',
      code: caFileUnreadable,
      message:
        pem === undefined
          ? `The file of trusted authorities, ${caFile}, cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown reason'}).`
          : `The file of trusted authorities, ${caFile}, holds no certificate.`,
      remedy:
        'Put the PEM file of the authority there, readable for the user that runs this, or correct caFile; nothing has to be restarted.',
      cause: error,
    });
  }
}

/** Another one whenever the file was written or replaced; undefined where it is not there. */
function versionOf(file: string): string | undefined {
  try {
    const { dev, ino, size, mtimeNs } = statSync(file, { bigint: true });
    return `${dev}:${ino}:${size}:${mtimeNs}`;
  } catch {
    // Why it cannot be read is said where it is read.
    return undefined;
  }
}
