/** Each kind of row draws from a stream of its own. */
export const CLASSIC_STREAM = 1;
/** Images in a registry; a running image shares their statuses. */
export const CONTAINER_STREAM = 2;
export const MACHINE_STREAM = 3;
/** Rows of running images, where they go away apart from those of the registry. */
export const RUNNING_STREAM = 4;

/** The subscription as a resource: it has no place among the blocks, and does not go away. */
export const SUBSCRIPTION_PLACE = -1;
const RESOURCES_PER_BLOCK = 32;
const FIRST_IMAGE_PLACE = 0x4000_0000;

/** The number of a block's resource. */
export function placeOf(block: number, resource: number): number {
  return block * RESOURCES_PER_BLOCK + resource;
}

/** The number of an image as a resource. */
export function imagePlace(index: number): number {
  return FIRST_IMAGE_PLACE + index;
}
