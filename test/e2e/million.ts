/** A lab of its own process over a large estate, read as a client reads it; its memory is read from the system, not from itself. */
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { startLab } from './harness.ts';

interface LargeReading {
  readonly subscriptions: number;
  /** Rows of the last page of the last subscription's list, and how long that page took. */
  readonly lastPageRows: number;
  readonly lastPageMs: number;
  readonly rowsWalked: number;
  readonly imagesWalked: number;
  readonly residentBytes: number;
  readonly peakResidentBytes: number;
}

type Wire = ReturnType<typeof JSON.parse>;

/** Reads the largest list to its end, the last one, some images, then walks all lists for a while with several readers. */
export async function readLarge(estate: string, { readers, walkMs }: { readers: number; walkMs: number }): Promise<LargeReading> {
  const lab = await startLab(estate);
  const { azure, admin } = lab.file;
  const agent = new Agent({ ca: readFileSync(azure.caFile), keepAlive: true, maxSockets: readers });
  try {
    const [tenant] = azure.tenants;
    if (tenant === undefined) throw new Error('The lab names no deployment.');
    await fetch(`${admin.url}/azure/change`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ options: { throttling: 'headers' } }),
    });
    const call = (url: string, body?: string, headers: Record<string, string> = {}): Promise<Wire> =>
      new Promise((resolve, reject) => {
        const sent = request(url, { agent, method: body === undefined ? 'GET' : 'POST', headers }, (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', reject);
          response.on('end', () => {
            const text = Buffer.concat(chunks).toString('utf8');
            if (response.statusCode === 200) resolve(JSON.parse(text));
            else reject(new Error(`${String(response.statusCode)} for ${url}: ${text}`));
          });
        });
        sent.on('error', reject).end(body);
      });
    const form = new URLSearchParams({
      client_id: tenant.clientId,
      client_secret: tenant.clientSecret,
      grant_type: 'client_credentials',
      scope: 'https://management.azure.com/.default',
    });
    const token = await call(`${azure.authority}/${tenant.tenantId}/oauth2/v2.0/token`, form.toString(), {
      'content-type': 'application/x-www-form-urlencoded',
    });
    const headers = { authorization: `Bearer ${token.access_token as string}` };
    const listOf = (id: string): string =>
      `${azure.arm}/subscriptions/${id}/providers/Microsoft.Security/assessments?api-version=2025-05-04`;
    let rowsWalked = 0;
    const walk = async (id: string, untilMs: number): Promise<{ rows: number; ms: number }> => {
      let last = { rows: 0, ms: 0 };
      for (let url: string | undefined = listOf(id); url !== undefined && performance.now() < untilMs;) {
        const startedMs = performance.now();
        const page: Wire = await call(url, undefined, headers);
        last = { rows: page.value.length as number, ms: performance.now() - startedMs };
        rowsWalked += last.rows;
        url = page.nextLink as string | undefined;
      }
      return last;
    };
    const { subscriptions } = tenant;
    await walk(subscriptions[0] ?? '', Infinity);
    const last = await walk(subscriptions.at(-1) ?? '', Infinity);
    let imagesWalked = 0;
    let skipToken: string | undefined;
    for (let page = 0; page < 5; page += 1) {
      const query =
        "securityresources | where type == 'microsoft.security/assessments' | where properties.metadata.recommendationCategory == 'SoftwareUpdate' | where properties.resourceDetails.ResourceType in ('.containerimage', 'K8s-container') | order by id asc";
      const options = { $top: 1000, ...(skipToken === undefined ? {} : { $skipToken: skipToken }) };
      const answer: Wire = await call(
        `${azure.arm}/providers/Microsoft.ResourceGraph/resources?api-version=2022-10-01`,
        JSON.stringify({ query, options }),
        { ...headers, 'content-type': 'application/json' },
      );
      imagesWalked += answer.data.length as number;
      skipToken = answer.$skipToken as string | undefined;
      if (skipToken === undefined) break;
    }
    const endMs = performance.now() + walkMs;
    const left = [...subscriptions];
    const reader = async (): Promise<void> => {
      for (let id = left.pop(); id !== undefined && performance.now() < endMs; id = left.pop()) await walk(id, endMs);
    };
    await Promise.all(Array.from({ length: readers }, reader));
    const status = readFileSync(`/proc/${String(lab.pid)}/status`, 'utf8');
    return {
      subscriptions: subscriptions.length,
      lastPageRows: last.rows,
      lastPageMs: last.ms,
      rowsWalked,
      imagesWalked,
      residentBytes: kibibytes(status, 'VmRSS'),
      peakResidentBytes: kibibytes(status, 'VmHWM'),
    };
  } finally {
    agent.destroy();
    await lab.stop();
  }
}

function kibibytes(status: string, name: string): number {
  return Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1]) * 1024;
}
