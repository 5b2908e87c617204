import { describe, expect, test } from '@jest/globals';
import { actionMatches } from '../../../lab/azure/rbac/roles.ts';
import { parseArmPath } from '../../../lab/azure/arm/path.ts';
import { patternOf } from '../../../lab/azure/arm/pattern.ts';

describe('ARM paths', () => {
  test.each([
    ['/subscriptions', '', 'tenant', 'Microsoft.Resources/subscriptions', [], 'list'],
    ['/subscriptions/s', '/subscriptions/s', 'subscription', 'Microsoft.Resources/subscriptions', ['s'], 'item'],
    ['/subscriptions/s/resources', '/subscriptions/s', 'subscription', 'Microsoft.Resources/subscriptions/resources', ['s'], 'list'],
    [
      '/providers/Microsoft.Management/managementGroups/g/descendants',
      '',
      'tenant',
      'Microsoft.Management/managementGroups/descendants',
      ['g'],
      'list',
    ],
    [
      '/providers/Microsoft.Management/managementGroups/g/providers/Microsoft.Security/assessments',
      '/providers/Microsoft.Management/managementGroups/g',
      'managementGroup',
      'Microsoft.Security/assessments',
      [],
      'list',
    ],
    [
      '/subscriptions/s/resourceGroups/r/providers/Microsoft.ContainerRegistry/registries/c/repositories/team/app/images/sha256:ab/providers/Microsoft.Security/assessments/k',
      '/subscriptions/s/resourceGroups/r/providers/Microsoft.ContainerRegistry/registries/c/repositories/team/app/images/sha256:ab',
      'resource',
      'Microsoft.Security/assessments',
      ['k'],
      'item',
    ],
    [
      '/subscriptions/s/providers/Microsoft.Security/regulatoryComplianceStandards/PCI%20DSS/regulatoryComplianceControls',
      '/subscriptions/s',
      'subscription',
      'Microsoft.Security/regulatoryComplianceStandards/regulatoryComplianceControls',
      ['PCI DSS'],
      'list',
    ],
  ])('%s', (path, scope, scopeKind, resourceType, names, form) => {
    expect(parseArmPath(path)).toEqual({ scope, scopeKind, resourceType, names, form });
  });

  test.each(['/', '', '/nonsense', '/providers', '/providers/Microsoft.Security', '/subscriptions//resources', '/subscriptions/s/a/b'])(
    '%j is none',
    (path) => {
      expect(parseArmPath(path)).toBeUndefined();
    },
  );

  test('counters leave ids out', () => {
    const id = '20ff7fc3-e762-44dd-bd96-b71116dcdc23';
    expect(patternOf(`/subscriptions/${id}/providers/Microsoft.Security/assessments?api-version=1`)).toBe(
      '/subscriptions/{id}/providers/Microsoft.Security/assessments',
    );
    expect(patternOf(`/subscriptions/${id}/resourceGroups/r/providers/A.B/c/d/providers/Microsoft.Security/assessments/${id}`)).toBe(
      '/{resource}/providers/Microsoft.Security/assessments/{id}',
    );
    expect(patternOf(`/${id}/oauth2/v2.0/token`)).toBe('/{id}/oauth2/v2.0/token');
  });
});

describe('role actions (azure.md §1.12)', () => {
  test.each([
    ['*/read', 'Microsoft.Security/assessments/read', true],
    ['Microsoft.Security/*/read', 'microsoft.security/ASSESSMENTS/subAssessments/read', true],
    ['Microsoft.Security/*/read', 'Microsoft.Resources/tags/read', false],
    ['Microsoft.Security/*/read', 'Microsoft.Security/assessments/write', false],
    ['Microsoft.Management/managementGroups/read', 'MicrosoftXManagement/managementGroups/read', false],
  ])('%s and %s: %p', (pattern, action, expected) => {
    expect(actionMatches(pattern, action)).toBe(expected);
  });
});
