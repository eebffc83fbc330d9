package process

import (
	"context"
	"net/http"
	"sync"
	"time"
)

const (
	// hungAfter is how long Envoy's main thread may say nothing. Its longest work, a first set of 5,000 hosts, takes a
	// second or two.
	hungAfter = 30 * time.Second
	// probePatience is less than the second that a kubelet waits.
	probePatience  = 800 * time.Millisecond
	scrapePatience = 10 * time.Second
	// firstPatience is how long a probe waits for Envoy to become ready for the first time: less than the two seconds that a
	// kubelet gives it.
	firstPatience = 1500 * time.Millisecond
)

// Health answers for a pod that runs one Envoy:
//
//	/readyz   200 from when Envoy has its whole first set until it ends or drains. It does not ask Envoy, nor does it
//	          matter whether the controller is there. Before the first time it waits a while for it, so that
//	          whoever asks once a second knows at once.
//	/livez    503 when Envoy has not answered for 30 s. While none runs it is 200: it is being started again.
//	/metrics  Envoy's statistics, in the format of Prometheus
//
// Started, Ready and Exited are hooks for Options. All methods are safe for concurrent use.
type Health struct {
	admin    *Admin        // constant
	scraping chan struct{} // has an element while Envoy is asked for its statistics: one at a time

	first chan struct{} // closed when Envoy is ready for the first time, or never will be
	once  sync.Once     // closes it

	mu       sync.Mutex // guards what follows
	running  bool
	serving  bool
	draining bool
	answered time.Time // when Envoy last did, or started
}

// NewHealth makes a Health that is not ready.
func NewHealth(a *Admin) *Health {
	return &Health{admin: a, scraping: make(chan struct{}, 1), first: make(chan struct{})}
}

// Started says that an Envoy was started.
func (h *Health) Started(int) {
	h.set(func() { h.running, h.serving, h.answered = true, false, time.Now() })
}

// Ready says that it serves.
func (h *Health) Ready(int) {
	h.set(func() { h.serving = true })
	h.once.Do(func() { close(h.first) })
}

// Exited says that it has ended.
func (h *Health) Exited(error, time.Duration) { h.set(func() { h.running, h.serving = false, false }) }

// Drain says that the pod will end: it is not ready any more, and never again.
func (h *Health) Drain() {
	h.set(func() { h.draining = true })
	h.once.Do(func() { close(h.first) })
}

func (h *Health) set(change func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change()
}

// ServeHTTP answers probes and scrapes.
func (h *Health) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/readyz":
		h.awaitFirst(r.Context())
		answer(w, h.notReady())
	case "/livez":
		answer(w, h.notAlive(r.Context()))
	case "/metrics":
		h.metrics(w, r)
	default:
		http.NotFound(w, r)
	}
}

// answer says ok, or why not.
func answer(w http.ResponseWriter, not string) {
	if not != "" {
		http.Error(w, not, http.StatusServiceUnavailable)
		return
	}
	_, _ = w.Write([]byte("ok\n")) // a prober that is gone asks again
}

// awaitFirst waits for Envoy to become ready for the first time, within bounds.
func (h *Health) awaitFirst(ctx context.Context) {
	timer := time.NewTimer(firstPatience)
	defer timer.Stop()
	select {
	case <-h.first:
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (h *Health) notReady() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.draining:
		return "draining"
	case !h.running:
		return "Envoy does not run"
	case !h.serving:
		return "Envoy waits for its first set of configuration"
	}
	return ""
}

func (h *Health) notAlive(ctx context.Context) string {
	h.mu.Lock()
	running := h.running
	h.mu.Unlock()
	if !running {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, probePatience)
	defer cancel()
	_, err := h.admin.State(ctx)
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil {
		h.answered = time.Now()
		return ""
	}
	if h.running && time.Since(h.answered) > hungAfter {
		return "Envoy does not answer: " + err.Error()
	}
	return ""
}

func (h *Health) metrics(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), scrapePatience)
	defer cancel()
	select {
	case h.scraping <- struct{}{}:
		defer func() { <-h.scraping }()
	case <-ctx.Done():
		answer(w, "Envoy is being asked by somebody else")
		return
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	out := &countingWriter{w: w}
	if err := h.admin.Metrics(ctx, out); err != nil && out.n == 0 {
		answer(w, err.Error())
	}
}

// countingWriter knows whether anything was written.
type countingWriter struct {
	w http.ResponseWriter
	n int
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += n
	return n, err
}
