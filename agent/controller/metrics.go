package controller

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"headgate.dev/agent"
)

// What is measured. Nothing names a commit, so that there is no more than a few time series per Sync.
var (
	commitToLive = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "headgate_commit_to_live_seconds", Help: "Time from the push of a commit, or its first sight where no webhook told, until every Envoy concerned had it.",
		Buckets: []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600},
	}, []string{"namespace", "name"})
	stageSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "headgate_stage_seconds", Help: "Time of the stages of a commit: hook, fetch, render, apply, ack.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300},
	}, []string{"stage"})
	ready = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "headgate_sync_ready", Help: "1 while a Sync is Ready, else 0.",
	}, []string{"namespace", "name"})
	objects = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "headgate_sync_objects", Help: "Objects that a Sync owns.",
	}, []string{"namespace", "name"})
	commits = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "headgate_sync_commits_total", Help: "Commits that were tried, by what became of them.",
	}, []string{"namespace", "name", "result"})
	hooksTaken = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "headgate_webhooks_total", Help: "Webhooks that came, by result: taken or refused.",
	}, []string{"result"})
	register sync.Once // the registry is the process's
)

func registerMetrics(a *Agent) {
	register.Do(func() {
		metrics.Registry.MustRegister(commitToLive, stageSeconds, ready, objects, commits, hooksTaken, a.gate.Collector())
	})
}

// measure counts what became of a commit, once.
func (x *actor) measure(happened []event, a *agent.Attempt) {
	namespace, name := x.owner.Namespace, x.owner.Name
	for _, e := range happened {
		switch {
		case e.result != "":
			commits.WithLabelValues(namespace, name, e.result).Inc()
		case e.reason == "Live":
			commitToLive.WithLabelValues(namespace, name).Observe(a.LiveAfter().Seconds())
			for _, s := range a.Stages() {
				stageSeconds.WithLabelValues(s.Name).Observe(s.Took.Seconds())
			}
		}
	}
}

// unmeasure drops the time series of a Sync that is no more.
func (x *actor) unmeasure() {
	labels := prometheus.Labels{"namespace": x.owner.Namespace, "name": x.owner.Name}
	for _, vec := range []interface {
		DeletePartialMatch(prometheus.Labels) int
	}{commitToLive, ready, objects, commits} {
		vec.DeletePartialMatch(labels)
	}
}
