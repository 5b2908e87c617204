/** The inventory room: which CI a cloud resource is (design §3, §5). Pure: looking up and creating is done by the activities. */
export { ciKeyOf, ciRequestOf, imageCiKey } from './ci-identity.ts';
export type { ResourceFacts } from './ci-identity.ts';
export { buildIrePayloads } from './ire-payload.ts';
export type { BuiltPayload, IreItem, IreOptions, IrePayload, IreRelation, UnplacedRequest } from './ire-payload.ts';
export { regionCode, regionName } from './regions.ts';
export {
  accountClass,
  ciClasses,
  cloudFamilyClass,
  datacenterClassOf,
  imageClass,
  lookupClassOf,
  placeholderClass,
} from './resource-class.ts';
export { parseResourceDetails } from './resource-details.ts';
export type { ResourceDetails } from './resource-details.ts';
export { parseOnPremises, parseResourceId, resourceNormalForm } from './resource-id.ts';
export type { Cloud, InvalidId, ParsedImage, ParsedResource, ParsedResourceId } from './resource-id.ts';
