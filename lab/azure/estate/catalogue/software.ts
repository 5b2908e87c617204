import { randomAt } from '../../../kit/random.ts';
import type { JsonObject } from '../../json.ts';

/** A known vulnerability with what Resource Graph tells about it. */
export interface Cve {
  readonly id: string;
  readonly severity: 'Critical' | 'High' | 'Medium' | 'Low';
  readonly base: number;
  readonly vector: string;
  readonly publishedDate: string;
  readonly lastModifiedDate: string;
  readonly weakness: string;
  readonly exploited: boolean;
  readonly epss: number;
  /** NVD withdrew it: `status` "Reject" in cvedetails. */
  readonly rejected: boolean;
}

export interface SoftwarePackage {
  readonly name: string;
  readonly vendor: string;
  readonly packageType: 'OS' | 'Language';
  readonly language: string;
  readonly versions: readonly string[];
  readonly fixedVersion: string;
  readonly cves: readonly Cve[];
}

type PackageLine = readonly [name: string, vendor: string, language: string, versions: string, fixed: string, cves: number];

/** An empty language is an operating-system package. 41 of them: a prime, so that any stride visits all. */
const PACKAGES: readonly PackageLine[] = [
  ['openssl', 'openssl', '', '1.1.1k-1,1.1.1n-0,3.0.2-0', '3.0.15-1', 6],
  ['libssl3', 'openssl', '', '3.0.8-1,3.0.11-1', '3.0.15-1', 5],
  ['glibc', 'gnu', '', '2.31-13,2.36-9', '2.36-9+deb12u8', 4],
  ['zlib1g', 'zlib', '', '1.2.11,1.2.13', '1.3.1', 2],
  ['curl', 'haxx', '', '7.74.0,7.88.1', '8.9.1', 6],
  ['libcurl4', 'haxx', '', '7.74.0,7.88.1', '8.9.1', 5],
  ['bash', 'gnu', '', '5.0,5.1', '5.2', 2],
  ['perl-base', 'perl', '', '5.32.1,5.36.0', '5.38.2', 3],
  ['libxml2', 'xmlsoft', '', '2.9.10,2.9.14', '2.12.7', 5],
  ['expat', 'libexpat', '', '2.2.10,2.5.0', '2.6.3', 5],
  ['sqlite3', 'sqlite', '', '3.34.1,3.40.1', '3.46.0', 3],
  ['git', 'git-scm', '', '2.30.2,2.39.2', '2.45.2', 4],
  ['gnutls28', 'gnu', '', '3.7.1,3.7.9', '3.8.6', 3],
  ['krb5', 'mit', '', '1.18.3,1.20.1', '1.21.3', 4],
  ['ncurses', 'gnu', '', '6.2,6.4', '6.5', 2],
  ['systemd', 'systemd_project', '', '247.3,252.6', '256.4', 3],
  ['tar', 'gnu', '', '1.34', '1.35', 1],
  ['busybox', 'busybox', '', '1.33.1,1.36.0', '1.36.1', 4],
  ['musl', 'musl-libc', '', '1.2.2,1.2.4', '1.2.5', 1],
  ['setuptools', 'python', 'python', '58.1.0,65.5.1', '70.0', 1],
  ['requests', 'python', 'python', '2.25.1,2.28.2', '2.32.0', 2],
  ['urllib3', 'python', 'python', '1.26.5,1.26.15', '1.26.19', 3],
  ['cryptography', 'cryptography.io', 'python', '39.0.1,41.0.3', '43.0.1', 5],
  ['Jinja2', 'palletsprojects', 'python', '3.0.3,3.1.2', '3.1.4', 2],
  ['Django', 'djangoproject', 'python', '3.2.18,4.2.3', '4.2.15', 6],
  ['Flask', 'palletsprojects', 'python', '2.2.2', '2.3.2', 1],
  ['Pillow', 'python', 'python', '9.4.0,9.5.0', '10.3.0', 4],
  ['lodash', 'lodash', 'nodejs', '4.17.15,4.17.20', '4.17.21', 2],
  ['express', 'openjsf', 'nodejs', '4.17.1,4.18.2', '4.19.2', 2],
  ['axios', 'axios', 'nodejs', '0.21.1,1.3.4', '1.7.4', 3],
  ['semver', 'npmjs', 'nodejs', '5.7.1,7.3.8', '7.5.2', 1],
  ['ws', 'ws_project', 'nodejs', '7.4.6,8.11.0', '8.17.1', 2],
  ['log4j-core', 'apache', 'java', '2.14.1,2.17.0', '2.17.1', 4],
  ['spring-core', 'vmware', 'java', '5.3.18,5.3.27', '5.3.39', 4],
  ['jackson-databind', 'fasterxml', 'java', '2.12.3,2.13.4', '2.13.5', 4],
  ['snakeyaml', 'snakeyaml_project', 'java', '1.26,1.33', '2.0', 3],
  ['tomcat-embed-core', 'apache', 'java', '9.0.65,9.0.80', '9.0.93', 5],
  ['golang.org/x/net', 'golang', 'go', 'v0.7.0,v0.17.0', 'v0.23.0', 3],
  ['golang.org/x/crypto', 'golang', 'go', 'v0.5.0,v0.14.0', 'v0.17.0', 2],
  ['Newtonsoft.Json', 'newtonsoft', 'dotnet', '12.0.3', '13.0.1', 1],
  ['System.Text.Json', 'microsoft', 'dotnet', '6.0.5,8.0.3', '8.0.4', 2],
];

const SEVERITIES = ['Critical', 'High', 'High', 'Medium', 'Medium', 'Medium', 'Low'] as const;
const BASES = { Critical: 9.8, High: 7.5, Medium: 5.9, Low: 3.3 } as const;
const WEAKNESSES = ['CWE-79', 'CWE-94', 'CWE-125', 'CWE-190', 'CWE-400', 'CWE-416', 'CWE-502', 'CWE-787'];

/** Packages with their vulnerabilities; the same for every seed, as the world's are. */
export function createSoftware(): { packages: readonly SoftwarePackage[]; cves: readonly Cve[] } {
  const used = new Set<string>();
  const packages = PACKAGES.map(([name, vendor, language, versions, fixedVersion, count]): SoftwarePackage => ({
    name,
    vendor,
    packageType: language === '' ? 'OS' : 'Language',
    language,
    versions: versions.split(','),
    fixedVersion,
    cves: Array.from({ length: count }, (_unused, index) => createCve(name, index, used)),
  }));
  return { packages, cves: packages.flatMap(({ cves }) => cves) };
}

function createCve(packageName: string, index: number, used: Set<string>): Cve {
  const random = randomAt('cve', packageName, index);
  const year = random.integer(2021, 2026);
  let id = packageName === 'setuptools' ? 'CVE-2024-6345' : `CVE-${String(year)}-${String(random.integer(1000, 49_999))}`;
  while (used.has(id)) id = `CVE-${String(year)}-${String(random.integer(50_000, 59_999))}`;
  used.add(id);
  const severity = random.pick(SEVERITIES);
  const month = String(random.integer(1, 12)).padStart(2, '0');
  return {
    id,
    severity,
    base: BASES[severity],
    vector: `CVSS:3.1/AV:N/AC:L/PR:N/UI:${random.pick(['N', 'R'])}/S:U/C:H/I:H/A:${random.pick(['H', 'N'])}`,
    publishedDate: `${id.slice(4, 8)}-${month}-15T00:00:00Z`,
    lastModifiedDate: '2026-06-17T08:17:26.793Z',
    weakness: random.pick(WEAKNESSES),
    exploited: random.chance(0.06),
    epss: Math.round(random.next() * 10_000) / 100_000,
    rejected: random.chance(0.01),
  };
}

/** One element of `CvesDetails` (azure.md §1.7). */
export function inlineCve(cve: Cve, fixedVersion: string): JsonObject {
  return {
    CveId: cve.id,
    AdditionalIdentifiers: [],
    Description: `A vulnerability of severity ${cve.severity.toLowerCase()}.`,
    ExtendedDescription: { Summary: '', Impact: '', Remediation: '', AdditionalInformation: '' },
    Cvss: [{ Key: '3.0', Value: { Base: cve.base, CvssVectorString: cve.vector } }],
    CvssSource: 'Nvd',
    Severity: cve.severity,
    PublishedDate: cve.publishedDate,
    LastModifiedDate: cve.lastModifiedDate,
    Weaknesses: [{ Id: cve.weakness }],
    FixStatus: 'FixAvailable',
    FixedVersion: fixedVersion,
    ExploitabilityDetails: { IsPubliclyDisclosed: cve.exploited, IsInExploitKit: false, IsVerified: cve.exploited },
    References: [],
    Tags: [],
  };
}

/** One `microsoft.security/cvedetails` row (azure.md §1.7): no "3.1" key, a 3.1 vector sits under "3.0". */
export function cveDetailsRow(cve: Cve): JsonObject {
  const lower = cve.id.toLowerCase();
  const withVersion4 = cve.id.endsWith('1') || cve.id.endsWith('5');
  return {
    id: `/providers/microsoft.security/cvedetails/${lower}`,
    name: lower,
    type: 'microsoft.security/cvedetails',
    tenantId: '',
    subscriptionId: '',
    resourceGroup: '',
    properties: {
      cveId: cve.id,
      severity: cve.severity,
      status: cve.rejected ? 'Reject' : '',
      cvssSource: 'Nvd',
      publishedDate: cve.publishedDate,
      lastModifiedDate: cve.lastModifiedDate,
      cvss: {
        '2.0': null,
        '3.0': cve.rejected ? null : { base: cve.base, cvssVectorString: cve.vector },
        '4.0':
          withVersion4 && !cve.rejected
            ? { base: Math.min(10, cve.base - 0.3), cvssVectorString: 'CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:N/SC:N/SI:N/SA:N' }
            : null,
      },
      exploitabilityDetails: {
        IsPubliclyDisclosed: cve.exploited,
        IsInExploitKit: false,
        IsVerified: cve.exploited,
        ExploitUris: [],
        ExploitUri: null,
        Types: [],
        Epss: { Percentile: Math.min(1, cve.epss * 9), Score: cve.epss },
      },
      weaknesses: [{ Id: cve.weakness }],
      references: [{ Source: 'Nvd', Title: cve.id, Url: `https://nvd.nist.gov/vuln/detail/${cve.id}` }],
      description: `Summary: ${cve.id} affects the package it was found in.`,
      extendedDescription: {
        Summary: `${cve.id} affects the package it was found in.`,
        Impact: '',
        Remediation: '',
        AdditionalInformation: '',
      },
    },
  };
}
