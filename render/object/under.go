package object

import (
	"path"

	"headgate.dev/schema"
)

// Under gives the object as it is in a tree that has its own tree as the directory dir: with other origins.
func (o *Object) Under(dir string) *Object {
	moved := *o
	moved.Origin, moved.Fields = under(dir, o.Origin), nil
	if o.Fields != nil {
		moved.Fields = make(map[string]Origin, len(o.Fields))
	}
	for pointer, origin := range o.Fields {
		moved.Fields[pointer] = under(dir, origin)
	}
	return &moved
}

// ErrorsUnder is Under for what was said about the tree.
func ErrorsUnder(dir string, errs schema.Errors) schema.Errors {
	var out schema.Errors
	for _, e := range errs {
		moved := *e
		moved.Position = under(dir, e.Position)
		out = append(out, &moved)
	}
	return out
}

func under(dir string, p Origin) Origin {
	if p.File != "" {
		p.File = path.Join(dir, p.File)
	}
	return p
}
