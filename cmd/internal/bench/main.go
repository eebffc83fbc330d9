// Command bench measures headgate from the outside: the built binary, real repositories, a real Envoy, requests on
// loopback. `make bench` runs it; every figure is a median of several rounds on an otherwise idle machine.
package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"headgate.dev/cmd/internal/lab"
)

func main() {
	var b bench
	flag.StringVar(&b.headgate, "headgate", "bin/headgate", "the binary to measure")
	flag.StringVar(&b.envoy, "envoy", os.Getenv("HEADGATE_ENVOY"), "the Envoy it runs")
	flag.IntVar(&b.rounds, "rounds", 31, "commits for each median")
	sizes := flag.String("sizes", "10,100,1000,5000", "numbers of services")
	flag.Parse()
	if err := b.all(context.Background(), *sizes); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type bench struct {
	headgate, envoy string
	rounds          int
}

func (b *bench) all(ctx context.Context, sizes string) error {
	fmt.Printf("%-8s %-10s %8s %8s %8s %8s | %8s %8s %8s %8s %8s | %9s %9s %9s %7s\n", "services", "tree",
		"p50 ms", "p90 ms", "min ms", "max ms", "fetch", "render", "apply", "ack", "total", "start ms", "headgate", "envoy MiB", "idle %")
	for _, size := range strings.Split(sizes, ",") {
		var n int
		if _, err := fmt.Sscan(size, &n); err != nil {
			return fmt.Errorf("reading -sizes: %w", err)
		}
		for _, kustomized := range []bool{false, true} {
			if err := b.commitToAnswer(ctx, n, kustomized); err != nil {
				return fmt.Errorf("%d services: %w", n, err)
			}
		}
	}
	return nil
}

// commitToAnswer measures the time from the moment a branch moves to the first answer that is the new commit's.
func (b *bench) commitToAnswer(ctx context.Context, n int, kustomized bool) error {
	dir, err := os.MkdirTemp("", "headgate-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	repo, err := tree(filepath.Join(dir, "repo"), n, kustomized)
	if err != nil {
		return err
	}
	port, err := lab.FreePort()
	if err != nil {
		return err
	}
	start := time.Now()
	up, err := lab.Start([]string{b.headgate}, nil, repo.Dir, "--envoy", b.envoy, "--port", fmt.Sprintf("80=%d", port))
	if err != nil {
		return err
	}
	defer func() { _ = up.Kill() }()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	if _, err := up.Next(ctx, "live"); err != nil {
		return err
	}
	r := result{n: n, kustomized: kustomized, start: time.Since(start)}
	w := &world{repo: repo, up: up, client: lab.Client(port)}
	for i := range b.rounds {
		took, event, err := w.flip(ctx, (i*7919)%n, fmt.Sprintf("other-%d", i))
		if err != nil {
			return err
		}
		r.samples, r.stages = append(r.samples, took), append(r.stages, event)
	}
	r.headgate, r.envoy = memory(up.PID())
	r.idle = idle(up.PID())
	r.print()
	return up.Stop()
}

// world is what is measured.
type world struct {
	repo   *lab.Repo
	up     *lab.Up
	client *http.Client
}

// flip gives service k another backend and waits for its first answer.
func (w *world) flip(ctx context.Context, k int, want string) (time.Duration, lab.Event, error) {
	if err := w.repo.Write(file(k), spec(k, want)); err != nil {
		return 0, lab.Event{}, err
	}
	id, err := w.repo.Prepare("Flip")
	if err != nil {
		return 0, lab.Event{}, err
	}
	<-time.After(20 * time.Millisecond) // lets the machine come to rest
	moved := time.Now()
	if err := w.repo.Publish(id); err != nil {
		return 0, lab.Event{}, err
	}
	for {
		a, err := lab.Get(w.client, host(k), "/", nil)
		if err != nil {
			return 0, lab.Event{}, err
		}
		if a.Service == want {
			break
		}
	}
	took := time.Since(moved)
	event, err := w.up.Live(ctx, id)
	return took, event, err
}

type result struct {
	n               int
	kustomized      bool
	start           time.Duration
	samples         []time.Duration
	stages          []lab.Event
	headgate, envoy float64 // MiB resident
	idle            float64 // share of a core that headgate uses when nothing happens
}

func (r *result) print() {
	slices.Sort(r.samples)
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	stage := func(of func(*lab.Event) float64) float64 {
		values := make([]float64, len(r.stages))
		for i := range r.stages {
			values[i] = of(&r.stages[i])
		}
		slices.Sort(values)
		return values[len(values)/2]
	}
	kind := "flat"
	if r.kustomized {
		kind = "kustomize"
	}
	last := len(r.samples) - 1
	fmt.Printf("%-8d %-10s %8.1f %8.1f %8.1f %8.1f | %8.1f %8.1f %8.1f %8.1f %8.1f | %9.0f %9.0f %9.0f %7.2f\n", r.n, kind,
		ms(r.samples[last/2]), ms(r.samples[last*9/10]), ms(r.samples[0]), ms(r.samples[last]),
		stage(func(e *lab.Event) float64 { return e.MS.Fetch }), stage(func(e *lab.Event) float64 { return e.MS.Render }),
		stage(func(e *lab.Event) float64 { return e.MS.Apply }), stage(func(e *lab.Event) float64 { return e.MS.Ack }),
		stage(func(e *lab.Event) float64 { return e.MS.Total }), ms(r.start), r.headgate, r.envoy, 100*r.idle)
}
