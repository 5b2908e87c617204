/** What the lab chooses where the evidence names a column but neither its type nor its length. */
export interface LabTypes {
  types: Record<string, string>;
  lengths: Record<string, { maxLength: number; grade?: string }>;
}

interface KnownColumn {
  name: string;
  type?: string;
  max_length?: number;
  reference?: string;
}

const LONG_TEXT = /description|remediation|summary|script|comments|notes|proof|details|values|condition|message|justification|hint/;
const FIXED_LENGTHS: Record<string, number> = {
  reference: 32,
  GUID: 32,
  boolean: 40,
  integer: 40,
  decimal: 40,
  longint: 40,
  glide_date_time: 40,
  glide_date: 40,
  glide_duration: 40,
  table_name: 80,
  sys_class_name: 80,
  domain_id: 32,
};

/** The evidenced type, else the lab's: by the list of additions, else by the name. */
export function typeOf(key: string, column: KnownColumn, lab: LabTypes): { value: string; reference?: string; lab: boolean } {
  const chosen = lab.types[key];
  if (column.type !== undefined) return { value: column.type, lab: false };
  if (chosen !== undefined) {
    const [type, reference] = chosen.split(':', 2) as [string, string | undefined];
    return { value: type, ...(reference === undefined ? {} : { reference }), lab: true };
  }
  return { value: column.reference === undefined ? typeByName(column.name) : 'reference', lab: true };
}

function typeByName(name: string): string {
  if (name.startsWith('is_')) return 'boolean';
  if (/(_date|_dt_tm|_date_time|_at)$/.test(name)) return 'glide_date_time';
  if (/(_count|_size|_bytes|_port)$/.test(name) || ['cpus', 'memory', 'disks', 'nics', 'size', 'order'].includes(name)) return 'integer';
  return 'string';
}

/** The evidenced length, else the lab's: by the list of additions, the type, or the name. */
export function lengthOf(key: string, column: KnownColumn & { type: string }, lab: LabTypes): { value: number; lab: boolean } {
  if (column.max_length !== undefined) return { value: column.max_length, lab: false };
  const chosen = lab.lengths[key];
  if (chosen !== undefined) return { value: chosen.maxLength, lab: chosen.grade === undefined };
  return { value: FIXED_LENGTHS[column.type] ?? lengthByName(column.name), lab: true };
}

function lengthByName(name: string): number {
  if (name === 'short_description') return 255;
  if (LONG_TEXT.test(name)) return 4000;
  if (/(^|_)(source_id|unique_key|digest|url|path|clusters|projects)$/.test(name)) return 512;
  if (/(status|state|substate|version|type|region|language)$/.test(name)) return 100;
  return 255;
}
