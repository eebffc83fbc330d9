package gateway

import (
	"slices"

	"k8s.io/apimachinery/pkg/labels"

	"headgate.dev/proxy/kube"
)

// SameForRoutes tells whether every route comes to the same with the one result as with the other: they differ, if at all, in
// certificates, conditions, addresses and other things that are between the Gateway and its proxies. A rotated certificate need not
// resolve thousands of routes again. Either may be nil.
func SameForRoutes(a, b *Result) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Name == b.Name && slices.EqualFunc(a.Listeners, b.Listeners, sameListener) && slices.EqualFunc(a.Sets, b.Sets, sameSet)
}

func sameSet(a, b ListenerSet) bool {
	return a.Name == b.Name && a.Attached == b.Attached && slices.EqualFunc(a.Listeners, b.Listeners, sameListener)
}

// attachment is all of a listener that a route looks at.
type attachment struct {
	set, name, hostname, protocol, namespace, from, selector string
	port                                                     int32
	usable, terminates                                       bool
	kinds                                                    [kube.NumKinds]bool
}

func sameListener(a, b Listener) bool { return a.attachment() == b.attachment() }

func (l *Listener) attachment() attachment {
	return attachment{
		set: l.Set.String(), name: l.Name, hostname: l.Hostname, protocol: string(l.Protocol), namespace: l.namespace,
		from: string(l.from), selector: text(l.selector), port: l.Port, usable: l.Usable, terminates: l.Terminate != nil, kinds: l.kinds,
	}
}

func text(s labels.Selector) string {
	if s == nil {
		return ""
	}
	return s.String()
}
