/** Ids of Microsoft's APIs and of the two permissions on incidents (azure.md §2.3). */
export const microsoftGraph = '00000003-0000-0000-c000-000000000000';
export const windowsDefenderAtp = 'fc780465-2017-40d4-a0c5-307022471b92';
export const microsoftThreatProtection = '8ee8fdad-f234-4243-8f3b-15c294843740';

export interface Permission {
  readonly name: string;
  /** Id as an application permission. */
  readonly role: string;
  /** Id as a delegated permission. */
  readonly scope: string;
}

/** Either of them lets incidents be read; they exist on Microsoft Graph only. */
export const incidentRoles: readonly Permission[] = [
  {
    name: 'SecurityIncident.Read.All',
    role: '45cc0394-e837-488b-a098-1918f48d186c',
    scope: 'b9abcc4f-94fc-4457-9141-d20ce80ec952',
  },
  {
    name: 'SecurityIncident.ReadWrite.All',
    role: '34bf0e97-1971-4929-b999-9e2442d941d7',
    scope: '128ca929-1a19-45e6-a3b8-435ec44a36ba',
  },
];
