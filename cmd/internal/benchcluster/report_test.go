package main

import (
	"strings"
	"testing"
	"time"
)

func TestTimes(t *testing.T) {
	var all []time.Duration
	for i := range 100 {
		all = append(all, time.Duration(100-i)*time.Millisecond)
	}
	if got, want := timesOf(all), (times{P50: 51, P90: 91, P99: 100, Max: 100, Rounds: 100}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := timesOf(nil); got != (times{}) {
		t.Errorf("of nothing: %+v", got)
	}
}

func TestTable(t *testing.T) {
	r := report{Sizes: []*size{{Routes: 100, NewRoute: times{P50: 12.34, P99: 56}}, {Routes: 1000}}}
	for _, want := range []string{"| routes | 100 | 1000 |\n|---|---|---|\n", "| new route → first 200, ms p50 (p99) | 12.3 (56.0) | 0.0 (0.0) |\n"} {
		if got := r.table(); !strings.Contains(got, want) {
			t.Errorf("the table has no %q:\n%s", want, got)
		}
	}
}

func TestTableOfSyncs(t *testing.T) {
	r := report{Syncs: []*commits{{Routes: 100, First: 1.25, Answer: times{P50: 12.34, P99: 56}}}}
	for _, want := range []string{"| routes of a Sync | 100 |\n|---|---|\n", "| webhook → first changed answer, ms p50 (p99) | 12.3 (56.0) |\n"} {
		if got := r.table(); !strings.Contains(got, want) || strings.Contains(got, "| routes |") {
			t.Errorf("the table has no %q:\n%s", want, got)
		}
	}
}

func TestDriftAlone(t *testing.T) {
	o := options{rounds: 2, gateways: 1, drifting: 10}
	if err := o.parse("", ""); err != nil || len(o.sizes) != 0 {
		t.Errorf("drift alone: %v, %v", o.sizes, err)
	}
	r := report{Drift: &driftFigures{Objects: 10, Detected: times{P50: 12, P99: 56.4}, Watched: 5000, Memory: 31.2, Idle: .0042}}
	for _, want := range []string{"with 10 owned objects", "| edit → there is a record | 12 (56) |\n", "A Sync of 5000 objects, all watched, costs 31 MiB and 0.004 cores"} {
		if got := r.table(); !strings.Contains(got, want) {
			t.Errorf("the table has no %q:\n%s", want, got)
		}
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]int{"5": 1, "100, 1000": 2, "": 0, "0": -1, "10,5": -1, "x": -1} {
		o := options{rounds: 2, gateways: 1}
		err := o.parse(text, text)
		if (err == nil) != (want >= 0) || err == nil && (len(o.sizes) != want || len(o.syncs) != want) {
			t.Errorf("-sizes %q: %v, %v", text, o.sizes, err)
		}
	}
}
