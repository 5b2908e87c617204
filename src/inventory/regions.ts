/** Azure regions: programmatic name → display name, which is what Discovery writes as the datacenter's name (servicenow.md §11). */
const displayNames: ReadonlyMap<string, string> = new Map(
  Object.entries({
    asia: 'Asia',
    asiapacific: 'Asia Pacific',
    australia: 'Australia',
    australiacentral: 'Australia Central',
    australiacentral2: 'Australia Central 2',
    australiaeast: 'Australia East',
    australiasoutheast: 'Australia Southeast',
    austriaeast: 'Austria East',
    belgiumcentral: 'Belgium Central',
    brazilsouth: 'Brazil South',
    brazilsoutheast: 'Brazil Southeast',
    canadacentral: 'Canada Central',
    canadaeast: 'Canada East',
    centralindia: 'Central India',
    centralus: 'Central US',
    chilecentral: 'Chile Central',
    denmarkeast: 'Denmark East',
    eastasia: 'East Asia',
    eastus: 'East US',
    eastus2: 'East US 2',
    europe: 'Europe',
    francecentral: 'France Central',
    francesouth: 'France South',
    germanynorth: 'Germany North',
    germanywestcentral: 'Germany West Central',
    indonesiacentral: 'Indonesia Central',
    israelcentral: 'Israel Central',
    italynorth: 'Italy North',
    japaneast: 'Japan East',
    japanwest: 'Japan West',
    jioindiacentral: 'Jio India Central',
    jioindiawest: 'Jio India West',
    koreacentral: 'Korea Central',
    koreasouth: 'Korea South',
    malaysiawest: 'Malaysia West',
    mexicocentral: 'Mexico Central',
    newzealandnorth: 'New Zealand North',
    northcentralus: 'North Central US',
    northeurope: 'North Europe',
    norwayeast: 'Norway East',
    norwaywest: 'Norway West',
    polandcentral: 'Poland Central',
    qatarcentral: 'Qatar Central',
    southafricanorth: 'South Africa North',
    southafricawest: 'South Africa West',
    southcentralus: 'South Central US',
    southindia: 'South India',
    southeastasia: 'Southeast Asia',
    spaincentral: 'Spain Central',
    swedencentral: 'Sweden Central',
    swedensouth: 'Sweden South',
    switzerlandnorth: 'Switzerland North',
    switzerlandwest: 'Switzerland West',
    uaecentral: 'UAE Central',
    uaenorth: 'UAE North',
    uksouth: 'UK South',
    ukwest: 'UK West',
    usdodcentral: 'US DoD Central',
    usdodeast: 'US DoD East',
    usgovarizona: 'US Gov Arizona',
    usgovtexas: 'US Gov Texas',
    usgovvirginia: 'US Gov Virginia',
    westcentralus: 'West Central US',
    westeurope: 'West Europe',
    westindia: 'West India',
    westus: 'West US',
    westus2: 'West US 2',
    westus3: 'West US 3',
  }),
);

/**
 * Programmatic name of a region however it is spelled ("East US", "eastus" → `eastus`), or undefined for what is no region
 * (`global`, empty, or text that cannot be a region's name).
 */
export function regionCode(text: string): string | undefined {
  const code = text.toLowerCase().replaceAll(' ', '');
  return /^[a-z][a-z0-9-]{1,62}$/.test(code) && code !== 'global' && code !== 'unknown' ? code : undefined;
}

/** Display name of an Azure region; an unknown region and those of other clouds are called by their programmatic name. */
export function regionName(code: string): string {
  return displayNames.get(code) ?? code;
}
