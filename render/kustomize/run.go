package kustomize

import (
	"fmt"
	"regexp"
	"strings"
	"sync"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/kyaml/openapi"

	"headgate.dev/schema"
)

// Run builds the unit. Every value of the documents it gives has the position it was written at: in the file of a
// base, or in the patch or kustomization that brought it. The error is schema.Errors when the input is wrong.
func (b *Build) Run() ([]*schema.Node, error) {
	s := newStage()
	dir := b.emit(s)
	root := b.units[b.root].file
	nodes, names, err := s.run(dir, root, b.places())
	if err == nil {
		b.renamed = names.changed()
	}
	return nodes, err
}

// Renamed gives the names that were written in the files of the build and that Run changed, sorted; that of a ServiceSpec
// behind RouteMark. Objects outside the build may mean them.
func (b *Build) Renamed() []string { return b.renamed }

// global guards what kustomize keeps for the whole process, its OpenAPI schema above all. Nothing we let through changes
// that, so it is put back only after a build that ended in the middle.
var global sync.Mutex

func (s *stage) run(dir string, root *File, p *places) (nodes []*schema.Node, names names, err error) {
	if s.err != nil {
		return nil, names, s.err
	}
	m, err := s.krusty(dir)
	if err != nil {
		return nil, names, schema.Errors{s.explain(err, p)}
	}
	objects := make([]made, 0, m.Size())
	for _, r := range m.Resources() {
		content, err := r.Map()
		if err != nil {
			return nil, names, schema.Errors{s.explain(err, p)}
		}
		objects = append(objects, made{content: content, at: p.object(s, s.takeAnnotations(content, root), content)})
	}
	size := 0
	names = newNames(objects)
	for _, o := range objects {
		names.follow(o)
		node := o.at.node()
		if size += nodeSize(node); size > maxBytes {
			return nil, names, schema.Errors{{
				Position: schema.Position{File: root.Path}, Message: fmt.Sprintf("renders to more than %d MiB; split it", maxBytes>>20),
			}}
		}
		nodes = append(nodes, node)
	}
	return nodes, names, nil
}

// krusty runs kustomize, once at a time in the whole process; a panic becomes an error.
func (s *stage) krusty(dir string) (m resmap.ResMap, err error) {
	global.Lock()
	defer global.Unlock()
	defer func() {
		if r := recover(); r != nil {
			openapi.ResetOpenAPI()
			err = fmt.Errorf("kustomize gave up: %v", r)
		}
	}()
	options := krusty.MakeDefaultOptions()
	options.Reorder = krusty.ReorderOptionNone
	return krusty.MakeKustomizer(options).Run(s.fs, "/"+dir)
}

const (
	originAnnotation      = "config.kubernetes.io/origin"
	transformerAnnotation = "alpha.config.kubernetes.io/transformations"
)

var (
	stagedFile = regexp.MustCompile(`hgf\d{6}`)
	stagedDir  = regexp.MustCompile(`hgk\d{6}`)
	stagedPath = regexp.MustCompile(`(?:/|\.\./)?(?:hgk\d{6}/)?hg[fk]\d{6}`)
)

// cause says what an object comes from.
type cause struct {
	staged    string // the file on stage, or the directory of a kustomization; "" is the root
	generator string // as generatedAnnotation has it; "" for what is not generated
}

// takeAnnotations takes kustomize's own annotations off an object, unless the author asked for them, and gives what they
// say about its source.
func (s *stage) takeAnnotations(content map[string]any, root *File) (from cause) {
	metadata, _ := content["metadata"].(map[string]any)
	annotations, _ := metadata["annotations"].(map[string]any)
	text, _ := annotations[originAnnotation].(string)
	from.generator, _ = annotations[generatedAnnotation].(string)
	delete(annotations, generatedAnnotation)
	asked := map[string]bool{}
	for _, option := range root.k.BuildMetadata {
		asked[option] = true
	}
	for key, option := range map[string]string{originAnnotation: "originAnnotations", transformerAnnotation: "transformerAnnotations"} {
		value, ok := annotations[key].(string)
		switch {
		case !ok:
		case asked[option]:
			annotations[key] = s.translate(value)
		default:
			delete(annotations, key)
		}
	}
	if annotations != nil && len(annotations) == 0 {
		delete(metadata, "annotations")
	}
	if from.staged = stagedFile.FindString(text); from.staged == "" {
		from.staged = stagedDir.FindString(text)
	}
	return from
}

// translate puts the names of the tree where those on stage stand.
func (s *stage) translate(text string) string {
	return stagedPath.ReplaceAllStringFunc(text, func(staged string) string {
		name := staged[strings.LastIndexByte(staged, '/')+1:]
		if original, ok := s.names[name]; ok {
			return original
		}
		return staged
	})
}

// explain makes the error of a build an error of the input: at the patch or file kustomize speaks of, else
// at the root.
func (s *stage) explain(err error, p *places) *schema.Error {
	text := err.Error()
	at := schema.Position{File: p.root.Path}
	if name := s.names[stagedFile.FindString(text)]; name != "" {
		at.File = name
	}
	if culprit := p.culprit(text); culprit != nil {
		at = culprit.Pos
	}
	if found := unmatchedPatch.FindStringSubmatch(text); found != nil {
		return &schema.Error{Position: at, Message: fmt.Sprintf(
			"the patch is for no object: what the kustomization builds on has no %s %q; mend kind, name or namespace, or remove the patch", found[1], found[2])}
	}
	if found := registeredTwice.FindStringSubmatch(text); found != nil {
		return &schema.Error{Position: at, Message: fmt.Sprintf("%s %q comes from another file too; rename or remove one of them", found[1], found[2])}
	}
	message := essence(strings.Join(strings.Fields(s.translate(text)), " "))
	if len(message) > maxMessage {
		message = strings.ToValidUTF8(message[:maxMessage], "") + " …"
	}
	return &schema.Error{Position: at, Message: "kustomize: " + message}
}

// maxMessage bounds what is repeated of kustomize's messages, which may hold whole objects.
const maxMessage = 2000

// essence takes away what kustomize says around its message: that it then tried the file as a directory, and by which
// functions it came there.
func essence(message string) string {
	if before, _, tried := strings.Cut(message, "': must build at directory"); tried {
		message = before
	}
	for {
		rest, ok := strings.CutPrefix(message, "accumulating resources: ")
		if !ok {
			rest, ok = strings.CutPrefix(message, "accumulation err='")
		}
		if !ok {
			return message
		}
		message = rest
	}
}
