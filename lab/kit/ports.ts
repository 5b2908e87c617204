import { join } from 'node:path';
import { readFileIfPresent, writeFileAtomically } from './files.ts';

/** The ports a lab used last, so that a restarted lab keeps its URLs. */
export interface PortMemory {
  /** The port this server used last; undefined where it never ran. */
  wanted(name: string): number | undefined;
  remember(name: string, port: number): Promise<void>;
}

/** Reads `<dir>/ports.json`; an unreadable or malformed file counts as empty, since a free port always does. */
export async function openPortMemory(dir: string): Promise<PortMemory> {
  const file = join(dir, 'ports.json');
  const ports = parsePorts(await readFileIfPresent(file));
  return {
    wanted: (name) => ports.get(name),
    remember: async (name, port) => {
      if (ports.get(name) === port) return;
      ports.set(name, port);
      await writeFileAtomically(file, `${JSON.stringify(Object.fromEntries(ports), null, 2)}\n`);
    },
  };
}

function parsePorts(text: string | undefined): Map<string, number> {
  const ports = new Map<string, number>();
  if (text === undefined) return ports;
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return ports;
  }
  if (typeof parsed !== 'object' || parsed === null) return ports;
  for (const [name, port] of Object.entries(parsed)) {
    if (typeof port === 'number' && Number.isInteger(port) && port > 0 && port < 65_536) ports.set(name, port);
  }
  return ports;
}
