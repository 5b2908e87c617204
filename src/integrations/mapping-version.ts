/**
 * Version of what becomes what. A change of any derivation in this room raises it: the ledger then derives every group
 * again, once, instead of keeping records that older code derived until Azure happens to change them.
 */
export const mappingVersion = '2';
