package previews

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// What is measured. Nothing names a preview, so that there are a few time series per Sync.
var (
	liveSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "headgate_preview_live_seconds", Help: "Time from the first sight of a preview's head until every Envoy concerned had it.",
		Buckets: []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600},
	}, []string{"namespace", "name"})
	previewsNow = prometheus.NewDesc("headgate_previews", "Previews that there are.", []string{"namespace", "name"}, nil)
	register    sync.Once // the registry is the process's
)

func registerMetrics(p *Previews) {
	register.Do(func() { metrics.Registry.MustRegister(liveSeconds, &collector{p}) })
}

// collector counts the previews of each Sync.
type collector struct{ all *Previews }

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) { ch <- previewsNow }

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	for owner, n := range c.all.count() {
		ch <- prometheus.MustNewConstMetric(previewsNow, prometheus.GaugeValue, float64(n), owner.Namespace, owner.Name)
	}
}
