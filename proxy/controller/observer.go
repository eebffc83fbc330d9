package controller

import (
	"log/slog"

	"headgate.dev/proxy/envoy"
	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/xds"
)

// observer reports what happens on the streams of proxies.
type observer struct {
	log    *slog.Logger
	behind func(fleet string, key envoy.Key) []kube.Ref
	// refused is told the fleet.
	refused func(fleet string)
}

// Connected implements xds.Observer.
func (o *observer) Connected(id xds.Identity) {
	connected.Inc()
	o.log.Info("proxy connected", "gateway", id.Fleet, "proxy", id.Proxy)
}

// Ready implements xds.Observer.
func (o *observer) Ready(id xds.Identity) {
	o.log.Info("proxy has its whole configuration", "gateway", id.Fleet, "proxy", id.Proxy)
}

// Nacked implements xds.Observer.
func (o *observer) Nacked(id xds.Identity, key envoy.Key, message string) {
	refusals.Inc()
	var objects []string
	for _, ref := range o.behind(id.Fleet, key) {
		objects = append(objects, ref.Kind.String()+" "+ref.Name.String())
	}
	o.log.Error("proxy refuses a resource", "gateway", id.Fleet, "proxy", id.Proxy, "resource", key.Name, "from", objects, "message", message)
	o.refused(id.Fleet)
}

// Disconnected implements xds.Observer.
func (o *observer) Disconnected(id xds.Identity, err error) {
	connected.Dec()
	o.log.Info("proxy disconnected", "gateway", id.Fleet, "proxy", id.Proxy, "error", err)
}
