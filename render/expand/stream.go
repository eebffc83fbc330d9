package expand

import (
	"strconv"

	"headgate.dev/schema"
)

// streamRoutes gives the TCPRoutes or UDPRoutes of a spec, NAME-PORT. Each attaches by its port, to the gateways the spec
// names: what narrows these to a listener is about hosts and paths, which a stream does not have.
func streamRoutes(s *schema.ServiceSpec, refs []schema.GatewayRef, kind, field string, streams []schema.Stream) ([]*draft, schema.Errors) {
	var drafts []*draft
	var errs schema.Errors
	for i := range streams {
		stream := &streams[i]
		at := "/spec/" + field + "/" + strconv.Itoa(i)
		d, wrong := streamRoute(s, newDraft(s, kind, s.Metadata.Name+"-"+strconv.Itoa(int(stream.Port))), stream.To, at)
		errs = append(errs, wrong...)
		d.content["spec"].(map[string]any)["parentRefs"] = parentRefs(whole(refs, stream.Port))
		d.from(s, "/spec/parentRefs", at+"/port")
		drafts = append(drafts, d)
	}
	return drafts, errs
}

// streamRoute gives a route of one rule that only has backends.
func streamRoute(s *schema.ServiceSpec, d *draft, to []schema.StreamBackend, at string) (*draft, schema.Errors) {
	backends := make([]schema.Backend, len(to))
	for i, b := range to {
		backends[i] = schema.Backend(b)
	}
	refs, errs := backendRefs(s, backends, at)
	d.content["spec"] = map[string]any{"rules": []any{map[string]any{"backendRefs": refs}}}
	d.from(s, "/spec", at)
	if len(to) > 0 {
		d.from(s, "/spec/rules/0/backendRefs", at+"/to")
	}
	return d, errs
}

// tlsRoutes gives the TLSRoutes of a spec, NAME, NAME-2, ...
func tlsRoutes(s *schema.ServiceSpec, refs []schema.GatewayRef) ([]*draft, schema.Errors) {
	if len(s.Spec.TLS) == 0 {
		return nil, nil
	}
	parents := parentRefs(tlsParents(refs))
	var drafts []*draft
	var errs schema.Errors
	for i := range s.Spec.TLS {
		t := &s.Spec.TLS[i]
		at := "/spec/tls/" + strconv.Itoa(i)
		d, wrong := streamRoute(s, newDraft(s, "TLSRoute", numbered(s.Metadata.Name, i)), t.To, at)
		errs = append(errs, wrong...)
		hosts, from := t.Hosts, at+"/hosts"
		if len(hosts) == 0 {
			hosts, from = s.Spec.Hosts, "/spec/hosts"
		}
		spec := d.content["spec"].(map[string]any)
		spec["parentRefs"], spec["hostnames"] = parents, anyList(hosts)
		d.from(s, "/spec/parentRefs", "/spec/gateway")
		d.from(s, "/spec/hostnames", from)
		drafts = append(drafts, d)
	}
	return drafts, errs
}

// tlsParents gives the parents of TLSRoutes: the whole gateways where all the references are to listeners for requests.
func tlsParents(refs []schema.GatewayRef) []schema.GatewayRef {
	refs = only(refs, "tls")
	if listenerFor(refs[0].Listener) == "requests" {
		return whole(refs, 0)
	}
	return refs
}

// backendTLS gives the BackendTLSPolicy of the own service.
func backendTLS(s *schema.ServiceSpec) []*draft {
	b := s.Spec.BackendTLS
	if b == nil {
		return nil
	}
	d := newDraft(s, "BackendTLSPolicy", s.Metadata.Name)
	validation := map[string]any{"hostname": string(b.Hostname)}
	var refs []any
	for _, ca := range b.CA {
		if ca.System {
			validation["wellKnownCACertificates"] = "System"
			continue
		}
		refs = append(refs, map[string]any{"group": "", "kind": "ConfigMap", "name": ca.ConfigMap})
	}
	if len(refs) > 0 {
		validation["caCertificateRefs"] = refs
	}
	if len(b.SANs) > 0 {
		names := make([]any, len(b.SANs))
		for i, san := range b.SANs {
			names[i] = map[string]any{"type": "Hostname", "hostname": string(san.Hostname)}
			if san.URI != "" {
				names[i] = map[string]any{"type": "URI", "uri": string(san.URI)}
			}
		}
		validation["subjectAltNames"] = names
	}
	d.content["spec"] = map[string]any{
		"targetRefs": []any{map[string]any{"group": "", "kind": "Service", "name": string(ownService(s))}},
		"validation": validation,
	}
	d.from(s, "/spec", "/spec/backendTLS")
	d.from(s, "/spec/validation/hostname", "/spec/backendTLS/hostname")
	d.from(s, "/spec/validation/caCertificateRefs", "/spec/backendTLS/ca")
	d.from(s, "/spec/validation/wellKnownCACertificates", "/spec/backendTLS/ca")
	if len(b.SANs) > 0 {
		d.from(s, "/spec/validation/subjectAltNames", "/spec/backendTLS/sans")
	}
	return []*draft{d}
}
