package reference

import (
	"bytes"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/model"
)

// BundleRef names a ConfigMap or Secret with certificates under the key ca.crt.
type BundleRef struct {
	Group, Kind string
	Name        types.NamespacedName
}

// Bundle is what references to certificates that are trusted come to.
type Bundle struct {
	// Secret has the certificates of all references that hold, in the order of their names; nil when none does.
	Secret *model.Secret
	// Faults of the references by their index; nil for each that holds.
	Faults []*Fault
}

// First gives the first fault and its index; nil when every reference holds.
func (b *Bundle) First() (int, *Fault) {
	i := slices.IndexFunc(b.Faults, func(f *Fault) bool { return f != nil })
	if i < 0 {
		return i, nil
	}
	return i, b.Faults[i]
}

// Resolve puts the certificates of all references together.
func Resolve(s *kube.Snapshot, from From, refs []BundleRef) Bundle {
	b := Bundle{Faults: make([]*Fault, len(refs))}
	texts := map[string][]byte{}
	for i, ref := range refs {
		text, f := bundleText(s, from, ref)
		if b.Faults[i] = f; f == nil {
			texts[ref.Kind+"/"+ref.Name.String()] = text
		}
	}
	if len(texts) == 0 {
		return b
	}
	names := make([]string, 0, len(texts))
	for n := range texts {
		names = append(names, n)
	}
	slices.Sort(names)
	b.Secret = &model.Secret{ID: model.SecretID("ca/" + strings.Join(names, "+"))}
	for _, n := range names {
		b.Secret.CA = append(append(b.Secret.CA, bytes.TrimSpace(texts[n])...), '\n')
	}
	return b
}

func bundleText(s *kube.Snapshot, from From, ref BundleRef) ([]byte, *Fault) {
	kind, ok := kube.KindOf(ref.Group, ref.Kind)
	if !ok || (kind != kube.ConfigMap && kind != kube.Secret) {
		return nil, &Fault{WrongKind, "kind " + ref.Kind + " (group \"" + ref.Group +
			"\") is not supported; trusted certificates are in a ConfigMap or a Secret"}
	}
	to := kube.Ref{Kind: kind, Name: ref.Name}
	if !Permitted(s, from, to) {
		return nil, &Fault{Forbidden, NotPermitted(from, to)}
	}
	data, exists := bundleData(s, to)
	switch {
	case !exists:
		return nil, &Fault{Unresolved, text(kind, ref.Name) + " does not exist"}
	case len(data) == 0:
		return nil, &Fault{Unresolved, text(kind, ref.Name) + " has no " + kube.CAKey}
	}
	if _, ok := certificates(data); !ok {
		return nil, &Fault{Unresolved, text(kind, ref.Name) + " has a " + kube.CAKey + " that is not certificates in PEM"}
	}
	return data, nil
}

func bundleData(s *kube.Snapshot, r kube.Ref) (data []byte, exists bool) {
	if r.Kind == kube.Secret {
		if o := s.Secret(r.Name); o != nil {
			return o.Data[kube.CAKey], true
		}
		return nil, false
	}
	if o := s.ConfigMap(r.Name); o != nil {
		return []byte(o.Data[kube.CAKey]), true
	}
	return nil, false
}
