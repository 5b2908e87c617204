/**
 * The three `Reflect` metadata functions that `tsyringe` (inside @peculiar/x509) asks for when it is loaded.
 * Imported for its side effect, before @peculiar/x509; it leaves an existing implementation alone.
 */
interface MetadataReflect {
  getMetadata?: (key: unknown, target: object) => unknown;
  getOwnMetadata?: (key: unknown, target: object) => unknown;
  defineMetadata?: (key: unknown, value: unknown, target: object) => void;
}

const metadataReflect = Reflect as MetadataReflect;

if (metadataReflect.getMetadata === undefined) {
  const metadata = new WeakMap<object, Map<unknown, unknown>>();
  const getOwn = (key: unknown, target: object): unknown => metadata.get(target)?.get(key);
  metadataReflect.getOwnMetadata = getOwn;
  metadataReflect.getMetadata = (key, target) => {
    for (let owner: object | null = target; owner !== null; owner = Object.getPrototypeOf(owner) as object | null) {
      const value = getOwn(key, owner);
      if (value !== undefined) return value;
    }
    return undefined;
  };
  metadataReflect.defineMetadata = (key, value, target) => {
    let own = metadata.get(target);
    if (own === undefined) {
      own = new Map();
      metadata.set(target, own);
    }
    own.set(key, value);
  };
}
