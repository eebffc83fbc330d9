package kube

import "maps"

// With gives a snapshot in which routes and namespaces are as changes say, for questions about what is not there yet. s stays as it is. Changes of
// other kinds count for nothing, and whatever is looked up from the other end (RoutesOfGateway and its like) is still that of s.
func (s *Snapshot) With(changes []Change) *Snapshot {
	var byKind [NumKinds][]Change
	for _, c := range changes {
		byKind[c.Kind] = append(byKind[c.Kind], c)
	}
	out := *s
	out.namespaces = overlay(s.namespaces, byKind[Namespace])
	out.httpRoutes = overlay(s.httpRoutes, byKind[HTTPRoute])
	out.grpcRoutes = overlay(s.grpcRoutes, byKind[GRPCRoute])
	out.tcpRoutes = overlay(s.tcpRoutes, byKind[TCPRoute])
	out.udpRoutes = overlay(s.udpRoutes, byKind[UDPRoute])
	out.tlsRoutes = overlay(s.tlsRoutes, byKind[TLSRoute])
	return &out
}

// overlay gives a table with changes; the table itself where there are none.
func overlay[T Object](t table[T], changes []Change) table[T] {
	if len(changes) == 0 {
		return t
	}
	out := maps.Clone(t)
	for _, c := range changes {
		if c.Object == nil {
			delete(out, c.Name)
			continue
		}
		if o, ok := kept(c.Object).(T); ok {
			out[c.Name] = o
		}
	}
	return out
}
