package kustomize

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"headgate.dev/render/object"
	"headgate.dev/schema"
)

// stage is the file system kustomize sees: flat directories and files whose names are numbers given here. Documents are
// written anew from what was decoded, so that what was checked is what runs.
type stage struct {
	fs    filesys.FileSystem
	names map[string]string            // file or directory on stage -> in the tree
	docs  map[string][]schema.Document // file on stage -> what it holds
	err   error
}

func newStage() *stage {
	return &stage{fs: filesys.MakeFsInMemory(), names: map[string]string{}, docs: map[string][]schema.Document{}}
}

// Names on stage: no file of a tree is called so, and none is a prefix of another.
const (
	dirPattern  = "hgk%06d"
	filePattern = "hgf%06d"
)

// write writes a file into a directory on stage and gives its name.
func (s *stage) write(dir, original string, data []byte) string {
	name := fmt.Sprintf(filePattern, len(s.names))
	s.names[name] = original
	s.put(dir, name, data)
	return name
}

func (s *stage) put(dir, name string, data []byte) {
	if err := s.fs.WriteFile(path.Join("/", dir, name), data); err != nil && s.err == nil {
		s.err = fmt.Errorf("preparing a kustomization: %w", err)
	}
}

// writeDocs writes documents as a stream of JSON.
func (s *stage) writeDocs(dir, original string, docs []schema.Document) string {
	var data []byte
	for _, doc := range docs {
		data = append(object.AppendJSON(append(data, "---\n"...), doc.Root.Value()), '\n')
	}
	if len(docs) == 1 && docs[0].Root.Kind == schema.ListNode {
		data = data[len("---\n"):] // a JSON patch is known by its bracket
	}
	name := s.write(dir, original, data)
	s.docs[name] = docs
	return name
}

// writeKustomization writes what a directory on stage does.
func (s *stage) writeKustomization(dir string, k *types.Kustomization) {
	data, err := json.Marshal(k)
	if err != nil && s.err == nil {
		s.err = fmt.Errorf("preparing a kustomization: %w", err)
	}
	s.put(dir, Names[0], data)
}

// emit puts a build on stage and gives the directory of its root.
func (b *Build) emit(s *stage) string {
	dirs := map[string]string{}
	for i, dir := range slices.Sorted(maps.Keys(b.units)) {
		dirs[dir] = fmt.Sprintf(dirPattern, i)
		s.names[dirs[dir]] = dir
	}
	for _, dir := range slices.Sorted(maps.Keys(b.units)) {
		k := b.units[dir].staged(s, dirs)
		if dir == b.root {
			finish(k)
		}
		s.writeKustomization(dirs[dir], k)
	}
	return dirs[b.root]
}

// finish adds what the root of a build needs beside what its author wrote: origins.
func finish(k *types.Kustomization) {
	if !slices.Contains(k.BuildMetadata, types.OriginAnnotations) {
		k.BuildMetadata = append(slices.Clone(k.BuildMetadata), types.OriginAnnotations)
	}
}

// staged gives the kustomization of a unit with every path replaced by one on stage.
func (u *unit) staged(s *stage, dirs map[string]string) *types.Kustomization {
	k, dir := u.file.k, dirs[u.file.Dir]
	e := emitter{unit: u, stage: s, dir: dir, dirs: dirs}
	k.Resources = e.paths(k.Resources)
	k.Components = e.paths(k.Components)
	for _, p := range u.file.patches {
		k.Patches = append(k.Patches, e.patch(p))
	}
	k.Replacements = slices.Clone(k.Replacements)
	for i := range k.Replacements {
		if k.Replacements[i].Path != "" {
			k.Replacements[i].Path = e.path(k.Replacements[i].Path)
		}
	}
	k.ConfigMapGenerator = slices.Clone(k.ConfigMapGenerator)
	for i := range k.ConfigMapGenerator {
		e.generator(&k.ConfigMapGenerator[i].GeneratorArgs, "/configMapGenerator/"+strconv.Itoa(i))
	}
	k.SecretGenerator = slices.Clone(k.SecretGenerator)
	for i := range k.SecretGenerator {
		e.generator(&k.SecretGenerator[i].GeneratorArgs, "/secretGenerator/"+strconv.Itoa(i))
	}
	return &k
}

type emitter struct {
	unit  *unit
	stage *stage
	dir   string
	dirs  map[string]string
}

// path writes the file behind a path the author wrote and gives its name on stage. The walk has proved that there is one.
func (e emitter) path(text string) string {
	name := path.Join(e.unit.file.Dir, text)
	if docs, ok := e.unit.docs[name]; ok {
		return e.stage.writeDocs(e.dir, name, docs)
	}
	if dir, ok := e.dirs[name]; ok {
		return "../" + dir
	}
	return e.stage.write(e.dir, name, e.unit.bytes[name])
}

func (e emitter) paths(texts []string) []string {
	out := make([]string, len(texts))
	for i, text := range texts {
		out[i] = e.path(text)
	}
	return out
}

// patch moves a patch into a file on stage.
func (e emitter) patch(p patch) types.Patch {
	out := p.Patch
	if out.Path != "" {
		out.Path = e.path(out.Path)
		return out
	}
	if docs := e.unit.inline[p.textAt]; len(docs) > 0 {
		out.Path, out.Patch = e.stage.writeDocs(e.dir, e.unit.file.Path, docs), ""
	}
	return out
}

// generatedAnnotation marks what a generator makes while it is on stage, with the generator: its directory and pointer.
const generatedAnnotation = "headgate.dev/generated-by"

// generator moves the files of a generator on stage and has it mark what it makes. One that changes what another made
// leaves that one's mark.
func (e emitter) generator(g *types.GeneratorArgs, pointer string) {
	e.sources(&g.KvPairSources)
	if g.Behavior != "" && g.Behavior != types.BehaviorCreate.String() {
		return
	}
	options := types.GeneratorOptions{}
	if g.Options != nil {
		options = *g.Options
	}
	options.Annotations = merged(options.Annotations, map[string]string{generatedAnnotation: e.dir + pointer})
	g.Options = &options
}

// sources moves the files of a generator on stage; the key that the name of a file gave by default is written out.
func (e emitter) sources(s *types.KvPairSources) {
	s.EnvSources = e.paths(s.EnvSources)
	s.FileSources = slices.Clone(s.FileSources)
	for i, source := range s.FileSources {
		key, text, ok := strings.Cut(source, "=")
		if !ok {
			key, text = path.Base(source), source
		}
		s.FileSources[i] = key + "=" + e.path(text)
	}
}
