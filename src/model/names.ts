/** Identities and the values that everything is made of. */

declare const brand: unique symbol;
export type Brand<Value, Name extends string> = Value & { readonly [brand]: Name };

/** Name of a deployment in the configuration: `[a-z0-9][a-z0-9-]{0,62}`. */
export type DeploymentName = Brand<string, 'DeploymentName'>;
/** Identity of one run, a UUID. */
export type RunId = Brand<string, 'RunId'>;
/** Lower-case, validated id of something observed: an Azure resource id, an assessment id, a policy id, a CVE id. */
export type ObservedId = Brand<string, 'ObservedId'>;
/** Normal form of a cloud resource's id (src/inventory): two spellings of one resource have the same one. */
export type ResourceId = Brand<string, 'ResourceId'>;
/** 32 hexadecimal digits in stock records, but a few platform records use names: any non-empty string. */
export type SysId = Brand<string, 'SysId'>;

export const integrationNames = ['policies', 'metadata', 'standards', 'assessments', 'container-images'] as const;
/** The five integrations, in the order in which they must run. */
export type IntegrationName = (typeof integrationNames)[number];

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
export type JsonObject = { readonly [key: string]: Json };
