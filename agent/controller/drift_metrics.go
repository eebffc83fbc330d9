package controller

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"headgate.dev/agent/drift"
)

// What is measured of drift. The label sync is NAMESPACE/NAME.
var (
	driftOpen = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "headgate_drift_open", Help: "Fields that are drifted now, by the kind of the object and what the policy says.",
	}, []string{"sync", "kind", "policy"})
	driftDetect = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "headgate_drift_detect_seconds", Help: "Time from an edit, which the API server knows to the second, until it was seen.",
		Buckets: []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 60, 300, 600},
	})
	driftCorrected = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "headgate_drift_corrected_total", Help: "Objects that were put back.",
	}, []string{"sync", "kind"})
	alertsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "headgate_alerts_total", Help: "Notices, by what they are about and what happened to the alert.",
	}, []string{"sync", "event", "phase"})
	behindSince = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "headgate_behind_since_timestamp_seconds",
		Help: "Since when something has not followed: what is stale, the cluster behind Git, or not-live, Envoys behind what is applied. Absent while all follows.",
	}, []string{"sync", "what"})
	strangersNow = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "headgate_strangers", Help: "Routes and listener sets that no Sync owns and that Gateways of the Sync took.",
	}, []string{"sync"})
	registerDrift sync.Once // the registry is the process's
)

func registerDriftMetrics() {
	registerDrift.Do(func() {
		metrics.Registry.MustRegister(driftOpen, driftDetect, driftCorrected, alertsTotal, behindSince, strangersNow)
	})
}

func (f *follower) label() string { return f.owner.Namespace + "/" + f.owner.Name }

// measure shows what is drifted.
func (f *follower) measure() {
	driftOpen.DeletePartialMatch(prometheus.Labels{"sync": f.label()})
	for _, r := range f.state.Open() {
		driftOpen.WithLabelValues(f.label(), r.Object.Kind, string(r.Do)).Inc()
	}
}

// measureLag shows what does not follow, and how many strangers there are.
func (f *follower) measureLag(lags []drift.Lag) {
	since := map[string]time.Time{}
	for _, l := range lags {
		since[l.Key] = l.Since
	}
	for _, what := range []string{drift.LagStale, drift.LagNotLive} {
		if at, is := since[what]; is {
			behindSince.WithLabelValues(f.label(), what).Set(float64(at.Unix()))
		} else {
			behindSince.DeleteLabelValues(f.label(), what)
		}
	}
	strangersNow.WithLabelValues(f.label()).Set(float64(len(f.strangers)))
}

// measureDetection observes how long ago an edit was that was just seen.
func (f *follower) measureDetection(open []drift.Record) {
	now := f.now()
	for _, r := range open {
		if r.Opened.Equal(r.Updated) && now.Sub(r.Opened) < callTimeout && len(r.By) > 0 && !r.By[0].Time.IsZero() {
			driftDetect.Observe(max(0, now.Sub(r.By[0].Time)).Seconds())
			return
		}
	}
}

// unmeasure drops the time series of a Sync that is gone.
func (f *follower) unmeasure() {
	for _, vec := range []interface {
		DeletePartialMatch(prometheus.Labels) int
	}{driftOpen, driftCorrected, alertsTotal, behindSince, strangersNow} {
		vec.DeletePartialMatch(prometheus.Labels{"sync": f.label()})
	}
}
