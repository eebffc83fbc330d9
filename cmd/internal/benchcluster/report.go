package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// report is everything that was measured.
type report struct {
	Rounds   int       `json:"rounds"`
	Began    time.Time `json:"began"`
	Gateways times     `json:"gatewayCreatedToServing"`
	// Programmed is until the status of the Gateway says so.
	Programmed times   `json:"gatewayCreatedToProgrammed"`
	Sizes      []*size `json:"sizes"`
	// Syncs are of commits, where the others are of objects that are written by hand.
	Syncs []*commits `json:"syncs"`
	// Drift is nil where it was not measured.
	Drift *driftFigures `json:"drift,omitempty"`
}

// size is what was measured with one number of routes. Times are in milliseconds, memory in MiB, CPU in cores or milliseconds.
type size struct {
	Routes         int     `json:"routes"`
	NewRoute       times   `json:"newRouteToFirst200"`
	NewRouteOdd    int     `json:"answersBeforeThatAreNot404"`
	Backend        times   `json:"backendChangedToFirstAnswer"`
	BackendOdd     int     `json:"failuresWhileBackendChanges"`
	Endpoints      times   `json:"endpointSliceToTraffic"`
	EndpointsOdd   int     `json:"failuresWhileEndpointsMove"`
	CPUPerChange   float64 `json:"controllerMillisecondsPerChange"`
	IdleCores      float64 `json:"controllerIdleCores"`
	Changes        int     `json:"ruleChangesUnderLoad"`
	Asked          int     `json:"requestsMeanwhile"`
	Failed         int     `json:"failedRequests"`
	Strays         int     `json:"answersFromTheWrongService"`
	StatusAfter    float64 `json:"lastRouteToGatewayStatus"`
	Written        float64 `json:"secondsToWriteTheRoutes"`
	Controller     float64 `json:"controllerMemory"`
	ControllerMost float64 `json:"controllerMemoryMax"`
	Envoy          float64 `json:"envoyMemory"`
	PID1           float64 `json:"pid1Memory"`
	SteadyCores    float64 `json:"controllerCoresAtOneChangeASecond"`
	Series         int     `json:"timeSeriesOfAProxy"`
	WithTraffic    int     `json:"servicesWithTraffic"`
}

// times are of many rounds, in milliseconds.
type times struct {
	P50    float64 `json:"p50"`
	P90    float64 `json:"p90"`
	P99    float64 `json:"p99"`
	Max    float64 `json:"max"`
	Rounds int     `json:"rounds"`
}

func timesOf(all []time.Duration) times {
	if len(all) == 0 {
		return times{}
	}
	sorted := slices.Sorted(slices.Values(all))
	at := func(share float64) float64 {
		return milliseconds(sorted[min(len(sorted)-1, int(share*float64(len(sorted))))])
	}
	return times{P50: at(.5), P90: at(.9), P99: at(.99), Max: milliseconds(sorted[len(sorted)-1]), Rounds: len(all)}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func newReport(o options) *report { return &report{Rounds: o.rounds, Began: time.Now().UTC()} }

func (r *report) write(path string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

// table has a row for each figure and a column for each number of routes.
func (r *report) table() string {
	if len(r.Sizes)+len(r.Syncs) == 0 {
		return r.Drift.text()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Gateway created → serves: p50 %.0f ms, max %.0f; → programmed: p50 %.0f ms, max %.0f (%d Gateways)\n\n",
		r.Gateways.P50, r.Gateways.Max, r.Programmed.P50, r.Programmed.Max, r.Gateways.Rounds)
	if len(r.Syncs) > 0 {
		b.WriteString(r.commits())
	}
	if len(r.Sizes) == 0 {
		return b.String() + r.Drift.text()
	}
	row := func(name string, cell func(*size) string) {
		fmt.Fprintf(&b, "| %s |", name)
		for _, s := range r.Sizes {
			fmt.Fprintf(&b, " %s |", cell(s))
		}
		b.WriteByte('\n')
	}
	row("routes", func(s *size) string { return fmt.Sprint(s.Routes) })
	fmt.Fprintf(&b, "|---|%s\n", strings.Repeat("---|", len(r.Sizes)))
	row("new route → first 200, ms p50 (p99)", func(s *size) string { return spread(s.NewRoute) })
	row("answers before it that are not 404", func(s *size) string { return fmt.Sprint(s.NewRouteOdd) })
	row("backend changed → its first answer, ms p50 (p99)", func(s *size) string { return spread(s.Backend) })
	row("EndpointSlice → traffic there, ms p50 (p99)", func(s *size) string { return spread(s.Endpoints) })
	row("failures during these", func(s *size) string { return fmt.Sprint(s.BackendOdd + s.EndpointsOdd) })
	row("controller CPU per change, ms", func(s *size) string { return fmt.Sprintf("%.1f", s.CPUPerChange) })
	row("rule changes under load: failed, wrong of all", func(s *size) string { return fmt.Sprintf("%d, %d of %d", s.Failed, s.Strays, s.Asked) })
	row("last route → Gateway status, ms", func(s *size) string { return fmt.Sprintf("%.0f", s.StatusAfter) })
	row("controller memory, MiB (max)", func(s *size) string { return fmt.Sprintf("%.0f (%.0f)", s.Controller, s.ControllerMost) })
	row("Envoy memory, MiB", func(s *size) string { return fmt.Sprintf("%.0f", s.Envoy) })
	row("PID 1 memory, MiB", func(s *size) string { return fmt.Sprintf("%.1f", s.PID1) })
	row("controller at one change a second (idle), cores", func(s *size) string { return fmt.Sprintf("%.3f (%.3f)", s.SteadyCores, s.IdleCores) })
	row("time series of a proxy (Services with traffic)", func(s *size) string { return fmt.Sprintf("%d (%d)", s.Series, s.WithTraffic) })
	return b.String() + r.Drift.text()
}

func spread(t times) string { return fmt.Sprintf("%.1f (%.1f)", t.P50, t.P99) }

// commits is the part of the table about Syncs.
func (r *report) commits() string {
	var b strings.Builder
	row := func(name string, cell func(*commits) string) {
		fmt.Fprintf(&b, "| %s |", name)
		for _, s := range r.Syncs {
			fmt.Fprintf(&b, " %s |", cell(s))
		}
		b.WriteByte('\n')
	}
	row("routes of a Sync", func(s *commits) string { return fmt.Sprint(s.Routes) })
	fmt.Fprintf(&b, "|---|%s\n", strings.Repeat("---|", len(r.Syncs)))
	row("first commit → live, s", func(s *commits) string { return fmt.Sprintf("%.1f", s.First) })
	row("webhook → API, ms p50 (p99)", func(s *commits) string { return spread(s.Applied) })
	row("webhook → first changed answer, ms p50 (p99)", func(s *commits) string { return spread(s.Answer) })
	row("webhook → the status says live, ms p50 (p99)", func(s *commits) string { return spread(s.Live) })
	row("nothing new: requests to the Git host in 10 s, one look a second", func(s *commits) string { return fmt.Sprint(s.Idle) })
	row("controller memory, MiB (max)", func(s *commits) string { return fmt.Sprintf("%.0f (%.0f)", s.Controller, s.Most) })
	b.WriteByte('\n')
	return b.String()
}
