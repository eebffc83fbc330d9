package controller

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"headgate.dev/proxy/xds"
)

// What is measured beside what controller-runtime measures itself.
var (
	steps = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "headgate_step_seconds", Help: "Time of one step of the engine: a batch of changes.",
		Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
	})
	changes = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "headgate_changes_total", Help: "Changes of objects that the engine has taken in.",
	})
	statusWrites = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "headgate_status_writes_total", Help: "Statuses that were written, by the kind of the object.",
	}, []string{"kind"})
	applies = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "headgate_fleet_applies_total", Help: "Objects of fleets that were applied, by kind.",
	}, []string{"kind"})
	connected = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "headgate_proxies_connected", Help: "Proxies that have a stream with this replica.",
	})
	refusals = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "headgate_xds_refusals_total", Help: "Resources that proxies have refused.",
	})
	routeLive = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "headgate_route_live_seconds",
		Help:    "Time from when this replica saw a generation of a route until every ready Envoy of its Gateways, of all replicas, had acknowledged it. The leader's is what counts.",
		Buckets: []float64{.002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10, 30, 60},
	})
	gatewayProxies = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "headgate_gateway_proxies", Help: "Ready Envoys of a Gateway, as the leader knows them.",
	}, []string{"namespace", "gateway"})
	gatewayProxiesLive = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "headgate_gateway_proxies_live", Help: "Ready Envoys of a Gateway that have acknowledged everything, as the leader knows them.",
	}, []string{"namespace", "gateway"})
	register sync.Once // the registry is the process's
)

func registerMetrics() {
	register.Do(func() {
		metrics.Registry.MustRegister(steps, changes, statusWrites, applies, connected, refusals, routeLive, gatewayProxies, gatewayProxiesLive)
	})
}

// registerServer has the counts of the server shown. Of several servers in a process, the first is.
func registerServer(s *xds.Server) error {
	return metrics.Registry.Register(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "headgate_xds_resources_total", Help: "Resources that were sent to proxies, removals included.",
	}, func() float64 { return float64(s.Counts().Resources) }))
}
