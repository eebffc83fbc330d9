package schema

import "fmt"

// origin is where a spec was decoded from.
type origin struct{ node *Node }

// At implements Spec.
func (o origin) At(pointer string) Position {
	if o.node == nil {
		return Position{}
	}
	return o.node.At(pointer)
}

// Errorf implements Spec.
func (o origin) Errorf(pointer, format string, args ...any) *Error {
	return &Error{Position: o.At(pointer), Field: FieldPath(pointer), Message: fmt.Sprintf(format, args...)}
}

// Kind implements Spec.
func (*ServiceSpec) Kind() string { return KindServiceSpec }

// Kind implements Spec.
func (*GatewaySpec) Kind() string { return KindGatewaySpec }

// Meta implements Spec.
func (s *ServiceSpec) Meta() *Metadata { return &s.Metadata }

// Meta implements Spec.
func (s *GatewaySpec) Meta() *Metadata { return &s.Metadata }
