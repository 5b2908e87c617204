/** One assessment whose policy and key Microsoft publishes (examples/azure/policy/real): [policy definition, assessment key, severity, title]. */
export type KnownLink = readonly [policy: string, key: string, severity: 'H' | 'M' | 'L', title: string];

/** By the resource type they assess. */
export const KNOWN_LINKS: Readonly<Record<string, readonly KnownLink[]>> = {
  'Microsoft.Compute/virtualMachines': [
    [
      'bd352bd5-2853-4985-bf0d-73806b4a5744',
      'c3b51c94-588b-426b-a892-24696f9e54cc',
      'M',
      'IP Forwarding on your virtual machine should be disabled',
    ],
    [
      'b0f33259-77d7-4c9e-aac6-3aabcfae693c',
      '805651bc-6ecd-4c73-9b55-97a19d0582d0',
      'H',
      'Management ports of virtual machines should be protected with just-in-time network access control',
    ],
    [
      '22730e10-96f6-4aac-ad84-9383d35b5917',
      'bc303248-3d14-44c2-96a0-55f5c326b5fe',
      'M',
      'Management ports should be closed on your virtual machines',
    ],
    [
      'f6de0be7-9a8a-4b8a-b349-43cf02d22f7c',
      '483f12ed-ae23-447e-a2de-a67a10db4353',
      'H',
      'Internet-facing virtual machines should be protected with network security groups',
    ],
    [
      'bb91dfba-c30d-4263-9add-9c2384e659a6',
      'a9341235-9389-42f0-a0bf-9bfb57960d44',
      'L',
      'Non-internet-facing virtual machines should be protected with network security groups',
    ],
    [
      '9daedab3-fb2d-461e-b861-71790eead4f6',
      '3b20e985-f71f-483b-b078-f30d73936d43',
      'H',
      'All network ports should be restricted on network security groups associated to your virtual machine',
    ],
    [
      '501541f7-f7e7-4cd6-868c-4190fdad3ac9',
      'ffff0522-1e88-47fc-8382-2a80ba848f5d',
      'M',
      'A vulnerability assessment solution should be enabled on your virtual machines',
    ],
    ['3ac7c827-eea2-4bde-acc7-9568cd320efa', '17618b1a-ed14-49bb-b37f-9f8ba967be8b', 'H', 'Machines should have secret findings resolved'],
    ['b1bb3592-47b8-4150-8db0-bfdcc2c8965b', '0396b18c-41aa-489c-affd-4ee5d1714a59', 'L', 'Linux virtual machines should use Secure Boot'],
    [
      'f6358610-e532-4236-b178-4c65865eb262',
      'b7604066-ed76-45f9-a5c1-c97e4812dc55',
      'M',
      'Virtual machines guest attestation status should be healthy',
    ],
    [
      '13a6c84f-49a5-410a-b5df-5b880c3fe009',
      'ad50b498-f90c-451f-886f-d0a169cc5002',
      'L',
      'Linux virtual machines should use only signed and trusted boot components',
    ],
  ],
  'Microsoft.Network/virtualNetworks/subnets': [
    [
      'e71308d3-144b-4262-b144-efdc3cc90517',
      'eade5b56-eefd-444f-95c8-23f29e5d93cb',
      'L',
      'Subnets should be associated with a Network Security Group',
    ],
  ],
  'Microsoft.Network/virtualNetworks': [
    ['a7aca53f-2ed4-4466-a25e-0b45ade68efd', 'e3de1cc0-f4dd-3b34-e496-8b5381ba2d70', 'M', 'Azure DDoS Protection should be enabled'],
  ],
  'Microsoft.ApiManagement/service': [
    [
      '8ac833bd-f505-48d5-887e-c993a1d3eea0',
      '91af2040-7874-4659-abf0-578e1f8d07dc',
      'H',
      'API endpoints in Azure API Management should be authenticated',
    ],
    [
      'c8acafaf-3d23-44d1-9624-978ef0f8652c',
      '4e8c00a2-e8bc-42a8-9e12-99584a51ad10',
      'L',
      'API endpoints that are unused should be disabled and removed from the Azure API Management service',
    ],
  ],
  subscription: [
    [
      '4f11b553-d42e-4e3a-89be-32ca364cad4c',
      '6f90a6d6-d4d6-0794-0ec1-98fa77878c2e',
      'H',
      'A maximum of 3 owners should be designated for your subscription',
    ],
    [
      '09024ccc-0c5f-475e-9457-b7c0d9ed487b',
      '2c79b4af-f830-b61e-92b9-63dfa30f16e4',
      'H',
      'There should be more than one owner assigned to your subscription',
    ],
    // The assessment was given a new key in 2026 and kept its policy (azure.md §1.6).
    [
      '0cfea604-3201-4e14-88fc-fae4c427a6c5',
      'a4899b81-b689-4e0d-aa29-45983ab8b7fc',
      'H',
      'Blocked accounts with owner permissions on Azure resources should be removed',
    ],
  ],
};
