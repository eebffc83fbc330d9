package agent

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"

	"headgate.dev/agent/git"
	"headgate.dev/agent/internal/substitute"
	"headgate.dev/agent/plan"
	"headgate.dev/schema"
)

// Reader reads, as the service account of a Sync, what the Sync names. Errors are those of the API server.
type Reader interface {
	Secret(ctx context.Context, namespace, name string) (map[string][]byte, error)
	ConfigMap(ctx context.Context, namespace, name string) (map[string]string, error)
	// DefaultGateways gives all Gateways with the annotation headgate.dev/default-for.
	DefaultGateways(ctx context.Context) ([]DefaultGateway, error)
}

// DefaultGateway is a Gateway of the cluster that wants to be the default of some namespaces.
type DefaultGateway struct {
	Namespace, Name string
	// For is the value of the annotation: "*", or namespaces separated by commas.
	For string
}

// inputs are everything that a Sync reads from the cluster before it looks at its repository.
type inputs struct {
	source git.Source
	// keys are whose signatures count; nil where commits need none.
	keys    *git.Keys
	values  *substitute.Variables // nil: nothing is substituted
	gateway string
	ignore  []plan.Rule
	// digest is of all that decides what a commit becomes; not of credentials.
	digest string
}

// readInputs reads what a Sync names. The error is a *Problem where somebody must act.
func readInputs(ctx context.Context, s *schema.Sync, r Reader, limits git.Limits) (*inputs, error) {
	in := &inputs{gateway: s.Spec.Gateway}
	var err error
	if in.source, err = ReadSource(ctx, s, r); err != nil {
		return nil, err
	}
	in.source.Limits = limits
	if v := s.Spec.Verify; v != nil {
		data, err := r.Secret(ctx, s.Namespace, v.SecretRef.Name)
		if err != nil {
			return nil, Missing("verify.secretRef", "Secret", v.SecretRef.Name, err)
		}
		keys, err := git.KeysFromSecret(data)
		if err != nil {
			return nil, &Problem{Reason: ReasonInput, Stalled: true, Err: err,
				Message: fmt.Sprintf("spec.verify.secretRef: Secret %s: %v", v.SecretRef.Name, err)}
		}
		in.keys = &keys
	}
	if s.Spec.Substitute != nil {
		if in.values, err = readValues(ctx, s, r); err != nil {
			return nil, err
		}
	}
	namespace := renderNamespace(s)
	switch {
	case in.gateway == "":
		if in.gateway, err = readGateway(ctx, r, namespace); err != nil {
			return nil, err
		}
	case !strings.Contains(in.gateway, "/"):
		in.gateway = namespace + "/" + in.gateway
	}
	if in.ignore, err = rulesOf(s.Spec.Ignore); err != nil {
		return nil, err
	}
	in.digest = in.decides()
	return in, nil
}

// secrets are the values that must not be shown, sorted by name.
func (in *inputs) secrets() []string {
	if in.values == nil {
		return nil
	}
	var out []string
	for _, name := range slices.Sorted(maps.Keys(in.values.Secret)) {
		out = append(out, in.values.Secret[name])
	}
	return out
}

func (in *inputs) decides() string {
	text := in.gateway
	if in.values != nil {
		text += "\n" + in.values.Digest()
	}
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}

// renderNamespace is the namespace of objects that name none.
func renderNamespace(s *schema.Sync) string { return cmp.Or(s.Spec.TargetNamespace, s.Namespace) }

// Missing is an input that cannot be read, named by a field of the spec.
func Missing(field, kind, name string, err error) *Problem {
	p := &Problem{Reason: ReasonInput, Err: err, Message: fmt.Sprintf("spec.%s: reading %s %s: %s", field, kind, name, reason(err))}
	p.Stalled = apierrors.IsNotFound(err) || apierrors.IsForbidden(err)
	return p
}

// reason says why the API server refuses, without what changes from time to time.
func reason(err error) string {
	var status apierrors.APIStatus
	switch {
	case apierrors.IsNotFound(err):
		return "there is none"
	case errors.As(err, &status) && status.Status().Message != "":
		return status.Status().Message
	}
	return err.Error()
}

// ReadSource gives where the commits come from, with the credentials for it.
func ReadSource(ctx context.Context, s *schema.Sync, r Reader) (git.Source, error) {
	src := git.Source{URL: s.Spec.URL, Ref: refOf(&s.Spec)}
	if p := s.Spec.Proxy; p != nil {
		src.Proxy.URL = p.URL
		if p.SecretRef != nil {
			data, err := r.Secret(ctx, s.Namespace, p.SecretRef.Name)
			if err != nil {
				return src, Missing("proxy.secretRef", "Secret", p.SecretRef.Name, err)
			}
			src.Proxy.Username, src.Proxy.Password = string(data["username"]), string(data["password"])
		}
	}
	if s.Spec.SecretRef == nil {
		return src, nil
	}
	data, err := r.Secret(ctx, s.Namespace, s.Spec.SecretRef.Name)
	if err != nil {
		return src, Missing("secretRef", "Secret", s.Spec.SecretRef.Name, err)
	}
	if src.Auth, err = git.AuthFromSecret(s.Spec.URL, data); err != nil {
		return src, &Problem{Reason: ReasonInput, Stalled: true, Err: err,
			Message: fmt.Sprintf("spec.secretRef: Secret %s: %v", s.Spec.SecretRef.Name, err)}
	}
	return src, nil
}

// refOf gives what to follow; a pin comes before everything.
func refOf(spec *schema.SyncSpec) git.Ref {
	ref := git.Ref{}
	if r := spec.Ref; r != nil {
		ref = git.Ref{Branch: r.Branch, Tag: r.Tag, SemVer: r.SemVer, Commit: r.Commit, Name: r.Name}
	}
	if spec.Pin != "" {
		return git.Ref{Commit: spec.Pin, Branch: ref.Branch}
	}
	return ref
}

// readValues gathers the variables: those of later objects win over earlier ones, the Sync's own over all.
func readValues(ctx context.Context, s *schema.Sync, r Reader) (*substitute.Variables, error) {
	v := &substitute.Variables{Open: map[string]string{}, Secret: map[string]string{}}
	for i, from := range s.Spec.Substitute.From {
		field := fmt.Sprintf("substitute.from[%d]", i)
		values, into, other := map[string]string{}, v.Open, v.Secret
		var err error
		if from.Kind == "Secret" {
			var data map[string][]byte
			if data, err = r.Secret(ctx, s.Namespace, from.Name); err == nil {
				for name, value := range data {
					values[name] = string(value)
				}
			}
			into, other = v.Secret, v.Open
		} else {
			values, err = r.ConfigMap(ctx, s.Namespace, from.Name)
		}
		if apierrors.IsNotFound(err) && from.Optional {
			continue
		}
		if err != nil {
			return nil, Missing(field, from.Kind, from.Name, err)
		}
		for name, value := range values {
			into[name] = value
			delete(other, name)
		}
	}
	for name, value := range s.Spec.Substitute.Variables {
		v.Open[name] = string(value)
		delete(v.Secret, name)
	}
	if err := v.Check(); err != nil {
		return nil, &Problem{Reason: ReasonInput, Stalled: true, Err: err, Message: "spec.substitute: " + err.Error()}
	}
	return v, nil
}

// readGateway finds the cluster's default Gateway for a namespace. An account that may not list Gateways has none.
func readGateway(ctx context.Context, r Reader, namespace string) (string, error) {
	all, err := r.DefaultGateways(ctx)
	if apierrors.IsForbidden(err) || apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("looking for the default Gateway: %w", err)
	}
	return defaultGateway(all, namespace)
}

// defaultGateway picks the one for a namespace: one that names the namespace comes before those for all. Two that fit are a Problem.
func defaultGateway(all []DefaultGateway, namespace string) (string, error) {
	var named, general []string
	for _, g := range all {
		for name := range strings.SplitSeq(g.For, ",") {
			switch strings.TrimSpace(name) {
			case namespace:
				named = append(named, g.Namespace+"/"+g.Name)
			case "*":
				general = append(general, g.Namespace+"/"+g.Name)
			}
		}
	}
	fit := named
	if len(fit) == 0 {
		fit = general
	}
	slices.Sort(fit)
	switch fit = slices.Compact(fit); len(fit) {
	case 0:
		return "", nil
	case 1:
		return fit[0], nil
	}
	return "", &Problem{Reason: ReasonInput, Stalled: true, Message: fmt.Sprintf(
		"Gateways %s all say headgate.dev/default-for namespace %s: let one of them say it, or name one in spec.gateway",
		strings.Join(fit, " and "), namespace)}
}

// rulesOf gives the fields left to others.
func rulesOf(ignore []schema.SyncIgnore) ([]plan.Rule, error) {
	var out []plan.Rule
	for i, rule := range ignore {
		for j, pointer := range rule.Fields {
			if err := plan.CheckPointer(pointer); err != nil {
				return nil, &Problem{Reason: ReasonInput, Stalled: true, Err: err,
					Message: fmt.Sprintf("spec.ignore[%d].fields[%d]: %v", i, j, err)}
			}
		}
		t := rule.Target
		out = append(out, plan.Rule{
			Target: plan.Selector{Group: t.Group, Kind: t.Kind, Namespace: t.Namespace, Name: t.Name, Labels: t.Labels},
			Fields: rule.Fields, Weights: rule.Weights,
		})
	}
	return out, nil
}

// sameSource tells whether two sources are one, credentials included.
func sameSource(a, b git.Source) bool {
	one, err := json.Marshal(a)
	other, err2 := json.Marshal(b)
	return err == nil && err2 == nil && string(one) == string(other)
}
