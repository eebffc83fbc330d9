package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"headgate.dev/schema"
	"headgate.dev/schema/source"
)

// syncName is the name in an argument: "shop" or, as kubectl has it, "sync/shop".
func syncName(arg string) (string, error) {
	kind, name, slash := strings.Cut(arg, "/")
	if !slash {
		return arg, nil
	}
	if k := kindOf(kind); k == nil || k.kind != schema.KindSync || name == "" {
		return "", usage("%q is not the name of a Sync: expected NAME or sync/NAME; the namespace is said with -n", arg)
	}
	return name, nil
}

// find reads the Sync that an argument names. Where there is none the error says which there are.
func (c *connection) find(ctx context.Context, arg string) (*schema.Sync, error) {
	name, err := syncName(arg)
	if err != nil {
		return nil, err
	}
	s := &schema.Sync{}
	err = c.Get(ctx, client.ObjectKey{Namespace: c.namespace, Name: name}, s)
	if apierrors.IsNotFound(err) && !missingKind(err) {
		return nil, c.nearest(ctx, name)
	}
	return s, c.explain(fmt.Sprintf("reading Sync %s/%s", c.namespace, name), err)
}

// nearest says that there is no such Sync, and what there is instead.
func (c *connection) nearest(ctx context.Context, name string) error {
	var all schema.SyncList
	if err := c.List(ctx, &all); err != nil {
		if err := c.List(ctx, &all, client.InNamespace(c.namespace)); err != nil {
			return &NotFoundError{fmt.Sprintf("there is no Sync %s in namespace %s", name, c.namespace)}
		}
	}
	return noSuchSync(c.program.Name, c.namespace, name, all.Items)
}

// noSuchSync says what there is instead of a Sync: one of the same name elsewhere, one with a name alike, or those of the namespace.
func noSuchSync(program, namespace, name string, all []schema.Sync) error {
	text := fmt.Sprintf("there is no Sync %s in namespace %s", name, namespace)
	var here, elsewhere []string
	for i := range all {
		switch s := &all[i]; {
		case s.Namespace == namespace:
			here = append(here, s.Name)
		case s.Name == name:
			elsewhere = append(elsewhere, s.Namespace)
		}
	}
	slices.Sort(here)
	slices.Sort(elsewhere)
	const listed = 8
	switch near := source.Nearest(name, here); {
	case len(elsewhere) > 0:
		text += fmt.Sprintf("; there is one in %s: -n %s", strings.Join(elsewhere[:min(len(elsewhere), listed)], ", "), elsewhere[0])
	case near != "":
		text += "; did you mean " + near + "?"
	case len(here) > listed:
		text += fmt.Sprintf("; it has %s and %d more", strings.Join(here[:listed], ", "), len(here)-listed)
	case len(here) > 0:
		text += "; it has " + strings.Join(here, ", ")
	case len(all) > 0:
		text += "; " + program + " get syncs -A lists those of other namespaces"
	default:
		text += ", nor any other in this cluster; " + program + " create sync --help says how to make one"
	}
	return &NotFoundError{text}
}
