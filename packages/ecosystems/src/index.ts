// The whole public surface of @countersign/ecosystems: what an ecosystem's
// names, file names, index entries and registry requests mean. One folder per
// ecosystem; ecosystem.ts is the interface they share.

export {
  type Ecosystem,
  ecosystemOf,
  type Inspected,
  type InspectHint,
  projectOf,
} from './ecosystem.ts';
export { npmProject, tarballName, tarballPath, unscopedName, versionOfTarballName } from './npm/names.ts';
export {
  type DerivedPackument,
  type Packument,
  type PackumentSource,
  packumentOf,
  type Withheld,
} from './npm/packument.ts';
export { readDistTags, writeDistTags } from './npm/pointers.ts';
export { type RegistryRoute, registryRoute } from './npm/routes.ts';
export { compareVersions, highestVersion, isPrerelease, isTagName, strictVersion } from './npm/versions.ts';
export { readYanks, writeYanks } from './yanks.ts';
