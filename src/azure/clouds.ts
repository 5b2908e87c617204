/** Where a cloud's services are (azure.md §3.5). Azure China is not offered: Defender for Cloud retired there on 2026-08-18. */
import { SyncError } from '../errors.ts';

export interface Cloud {
  /** Entra authority, an https origin. */
  readonly authorityHost: string;
  /** Azure Resource Manager, an https origin. */
  readonly armEndpoint: string;
  /** Scope of a token for ARM, ending in `/.default`. */
  readonly armScope: string;
  /** Microsoft Graph, an https origin. */
  readonly graphEndpoint: string;
  readonly graphScope: string;
  /** False where Entra's public instance discovery does not know the authority (custom clouds, private test authorities). */
  readonly instanceDiscovery: boolean;
}

/** A cloud of one's own: any authority, ARM and Graph that speak the same protocols. */
export interface CustomCloud {
  readonly authorityHost: string;
  readonly armEndpoint: string;
  /** Default: the public Graph. */
  readonly graphEndpoint?: string | undefined;
  /** Default: `<armEndpoint>/.default`. */
  readonly armScope?: string | undefined;
  /** Default: `<graphEndpoint>/.default`. */
  readonly graphScope?: string | undefined;
}

export type CloudChoice = 'public' | 'usgovernment' | CustomCloud;

const known: Readonly<Record<'public' | 'usgovernment', Cloud>> = {
  public: {
    authorityHost: 'https://login.microsoftonline.com',
    armEndpoint: 'https://management.azure.com',
    armScope: 'https://management.azure.com/.default',
    graphEndpoint: 'https://graph.microsoft.com',
    graphScope: 'https://graph.microsoft.com/.default',
    instanceDiscovery: true,
  },
  usgovernment: {
    authorityHost: 'https://login.microsoftonline.us',
    armEndpoint: 'https://management.usgovcloudapi.net',
    armScope: 'https://management.usgovcloudapi.net/.default',
    graphEndpoint: 'https://graph.microsoft.us',
    graphScope: 'https://graph.microsoft.us/.default',
    instanceDiscovery: true,
  },
};

/** @throws SyncError `usage` when a custom cloud's URL is not an https URL. */
export function resolveCloud(choice: CloudChoice): Cloud {
  if (typeof choice === 'string') return known[choice];
  const armEndpoint = httpsBase('armEndpoint', choice.armEndpoint);
  const graphEndpoint = httpsBase('graphEndpoint', choice.graphEndpoint ?? known.public.graphEndpoint);
  return {
    authorityHost: httpsBase('authorityHost', choice.authorityHost),
    armEndpoint,
    armScope: choice.armScope ?? `${armEndpoint}/.default`,
    graphEndpoint,
    graphScope: choice.graphScope ?? `${graphEndpoint}/.default`,
    instanceDiscovery: false,
  };
}

function httpsBase(name: string, value: string): string {
  const url = URL.parse(value);
  if (url?.protocol !== 'https:') {
    throw new SyncError({
      kind: 'usage',
      message: `The cloud's ${name} is not an https URL.`,
      remedy: `Write it as https://host[:port] in the deployment's cloud section.`,
      service: 'azure',
    });
  }
  return value.replace(/\/+$/, '');
}
