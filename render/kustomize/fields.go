package kustomize

// use says what a field of a kustomization holds, as far as safety is concerned.
type use uint8

const (
	plain      use = iota // text, numbers, selectors: nothing that is opened
	group                 // a struct or list of structs: its fields have rows of their own
	resource              // a file or a kustomization
	component             // a kustomization of kind Component
	file                  // a file of documents
	fileInline            // a file of documents, or the document itself
	raw                   // a file of bytes
	keyedRaw              // a file of bytes, optionally behind "key="
	refused               // see reasons
)

// fields has a row for every field of a kustomization, nested ones by their dotted path; a test compares it with the
// type, so that an upgrade of kustomize cannot bring one in unseen.
var fields = map[string]use{
	"apiVersion": plain, "kind": plain, "metadata": group,
	"metadata.name": plain, "metadata.namespace": plain, "metadata.labels": plain, "metadata.annotations": plain,

	"resources": resource, "bases": resource, "components": component,

	"namePrefix": plain, "nameSuffix": plain, "namespace": plain,
	"commonLabels": plain, "commonAnnotations": plain, "buildMetadata": plain,

	"labels": group, "labels.pairs": plain, "labels.includeSelectors": plain, "labels.includeTemplates": plain,
	"labels.includeVolumeClaimTemplates": plain, "labels.fields": group, "labels.fields.group": plain, "labels.fields.version": plain,
	"labels.fields.kind": plain, "labels.fields.path": plain, "labels.fields.create": plain,

	"patches": group, "patches.path": file, "patches.patch": plain,
	"patches.target": group, "patches.target.group": plain, "patches.target.version": plain, "patches.target.kind": plain,
	"patches.target.name": plain, "patches.target.namespace": plain, "patches.target.annotationSelector": plain,
	"patches.target.labelSelector": plain,
	"patches.options":              group, "patches.options.allowNameChange": plain, "patches.options.allowKindChange": plain,

	"patchesStrategicMerge": fileInline,

	"patchesJson6902": group, "patchesJson6902.path": file, "patchesJson6902.patch": plain,
	"patchesJson6902.target": group, "patchesJson6902.target.group": plain, "patchesJson6902.target.version": plain,
	"patchesJson6902.target.kind": plain, "patchesJson6902.target.name": plain, "patchesJson6902.target.namespace": plain,
	"patchesJson6902.target.annotationSelector": plain, "patchesJson6902.target.labelSelector": plain,
	"patchesJson6902.options": group, "patchesJson6902.options.allowNameChange": plain, "patchesJson6902.options.allowKindChange": plain,

	"images": group, "images.name": plain, "images.newName": plain, "images.tagSuffix": plain, "images.newTag": plain, "images.digest": plain,
	"imageTags": group, "imageTags.name": plain, "imageTags.newName": plain, "imageTags.tagSuffix": plain,
	"imageTags.newTag": plain, "imageTags.digest": plain,

	"replacements": group, "replacements.path": file, "replacements.sourceValue": plain,
	"replacements.source": group, "replacements.source.group": plain, "replacements.source.version": plain,
	"replacements.source.kind": plain, "replacements.source.name": plain, "replacements.source.namespace": plain,
	"replacements.source.fieldPath": plain, "replacements.source.options": group,
	"replacements.source.options.delimiter": plain, "replacements.source.options.index": plain,
	"replacements.source.options.encoding": plain, "replacements.source.options.create": plain,
	"replacements.targets": group, "replacements.targets.fieldPaths": plain,
	"replacements.targets.select": group, "replacements.targets.select.group": plain, "replacements.targets.select.version": plain,
	"replacements.targets.select.kind": plain, "replacements.targets.select.name": plain, "replacements.targets.select.namespace": plain,
	"replacements.targets.select.annotationSelector": plain, "replacements.targets.select.labelSelector": plain,
	"replacements.targets.reject": group, "replacements.targets.reject.group": plain, "replacements.targets.reject.version": plain,
	"replacements.targets.reject.kind": plain, "replacements.targets.reject.name": plain, "replacements.targets.reject.namespace": plain,
	"replacements.targets.reject.annotationSelector": plain, "replacements.targets.reject.labelSelector": plain,
	"replacements.targets.options": group, "replacements.targets.options.delimiter": plain, "replacements.targets.options.index": plain,
	"replacements.targets.options.encoding": plain, "replacements.targets.options.create": plain,

	"replicas": group, "replicas.name": plain, "replicas.count": plain,

	"vars": group, "vars.name": plain, "vars.objref": group, "vars.objref.apiVersion": plain, "vars.objref.group": plain,
	"vars.objref.version": plain, "vars.objref.kind": plain, "vars.objref.name": plain, "vars.objref.namespace": plain,
	"vars.fieldref": group, "vars.fieldref.fieldPath": plain,

	"sortOptions": group, "sortOptions.order": plain, "sortOptions.legacySortOptions": group,
	"sortOptions.legacySortOptions.orderFirst": plain, "sortOptions.legacySortOptions.orderLast": plain,

	"configMapGenerator": group, "configMapGenerator.namespace": plain, "configMapGenerator.name": plain,
	"configMapGenerator.behavior": plain, "configMapGenerator.literals": plain, "configMapGenerator.files": keyedRaw,
	"configMapGenerator.envs": raw, "configMapGenerator.env": raw, "configMapGenerator.options": group,
	"configMapGenerator.options.labels": plain, "configMapGenerator.options.annotations": plain,
	"configMapGenerator.options.disableNameSuffixHash": plain, "configMapGenerator.options.immutable": plain,

	"secretGenerator": group, "secretGenerator.namespace": plain, "secretGenerator.name": plain, "secretGenerator.type": plain,
	"secretGenerator.behavior": plain, "secretGenerator.literals": plain, "secretGenerator.files": keyedRaw,
	"secretGenerator.envs": raw, "secretGenerator.env": raw, "secretGenerator.options": group,
	"secretGenerator.options.labels": plain, "secretGenerator.options.annotations": plain,
	"secretGenerator.options.disableNameSuffixHash": plain, "secretGenerator.options.immutable": plain,

	"generatorOptions": group, "generatorOptions.labels": plain, "generatorOptions.annotations": plain,
	"generatorOptions.disableNameSuffixHash": plain, "generatorOptions.immutable": plain,

	"openapi": refused, "crds": refused, "configurations": refused, "generators": refused, "transformers": refused,
	"validators": refused, "helmGlobals": refused, "helmCharts": refused, "helmChartInflationGenerator": refused,
}

// reasons says why a field is refused and what to do instead.
var reasons = map[string]string{
	"openapi":                     "is not supported: a schema changes how every other kustomization of this process is built; use a JSON patch where a list must be merged",
	"crds":                        "is not supported: list the CustomResourceDefinition under resources; references are rewritten for built-in kinds, Gateway API and headgate specs",
	"configurations":              "is not supported: transformer configurations change what every field means; use replacements or patches",
	"generators":                  "is not supported: plug-ins are programs; commit what they generate",
	"transformers":                "is not supported: plug-ins are programs; use patches, replacements or components",
	"validators":                  "is not supported: plug-ins are programs; run them in CI",
	"helmGlobals":                 "is not supported: charts are not inflated here; commit the output of helm template",
	"helmCharts":                  "is not supported: charts are not inflated here; commit the output of helm template",
	"helmChartInflationGenerator": "is not supported: charts are not inflated here; commit the output of helm template",
}
