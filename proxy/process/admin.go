package process

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Admin is Envoy's admin interface. It answers from Envoy's main thread, which applies configuration too.
type Admin struct {
	address string
	client  *http.Client
}

// NewAdmin makes an Admin for an address: network "tcp" or "unix".
func NewAdmin(network, address string) *Admin {
	return &Admin{address: address, client: &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true, // a connection would be counted, and would outlive the process it leads to
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, address)
		},
	}}}
}

// State is what Envoy says of itself: PRE_INITIALIZING and INITIALIZING until it has its first set of clusters, listeners,
// and all they name; then LIVE; DRAINING after CloseGently.
func (a *Admin) State(ctx context.Context) (string, error) {
	// The answer is one word; the status is 503 unless it is LIVE.
	state, err := a.ask(ctx, http.MethodGet, "/ready")
	return strings.TrimSpace(state), err
}

// CloseGently has Envoy end every HTTP connection with its next answer ("connection: close", GOAWAY), so that clients
// find another proxy. It goes on accepting.
func (a *Admin) CloseGently(ctx context.Context) error {
	_, err := a.ask(ctx, http.MethodPost, "/healthcheck/fail")
	return err
}

const connectionsStat = "server.total_connections"

// Connections counts the connections of clients, over all listeners, of any protocol, as they were when it was called the
// time before: Envoy answers first and counts then.
func (a *Admin) Connections(ctx context.Context) (int, error) {
	text, err := a.ask(ctx, http.MethodGet, "/stats?filter=^"+connectionsStat+"$")
	if err != nil {
		return 0, err
	}
	_, number, _ := strings.Cut(strings.TrimSpace(text), ": ")
	n, err := strconv.Atoi(number)
	if err != nil {
		return 0, fmt.Errorf("asking Envoy at %s for its connections: it answers %.100q", a.address, text)
	}
	return n, nil
}

// Metrics writes Envoy's statistics in the format of Prometheus, but for what nothing has happened to: there may be thousands of
// clusters, few of which have traffic.
func (a *Admin) Metrics(ctx context.Context, w io.Writer) error {
	res, err := a.do(ctx, http.MethodGet, "/stats/prometheus?usedonly")
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(w, res.Body); err != nil {
		return fmt.Errorf("passing on the statistics of Envoy at %s: %w", a.address, err)
	}
	return nil
}

func (a *Admin) ask(ctx context.Context, method, path string) (string, error) {
	res, err := a.do(ctx, method, path)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	const enough = 1000 // bytes; the answers are a line
	text, err := io.ReadAll(io.LimitReader(res.Body, enough))
	if err != nil {
		return "", fmt.Errorf("asking Envoy at %s for %s: %w", a.address, path, err)
	}
	return string(text), nil
}

func (a *Admin) do(ctx context.Context, method, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://envoy"+path, nil)
	if err != nil {
		return nil, err
	}
	res, err := a.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking Envoy at %s for %s: %w", a.address, path, err)
	}
	return res, nil
}

// Live makes a hook for Options.Serving that waits until Envoy calls itself live: it has its clusters and listeners. The
// address is that of Envoy's admin interface: network "tcp" or "unix".
func Live(network, address string) func(context.Context) error {
	admin := NewAdmin(network, address)
	return func(ctx context.Context) error {
		// Envoy is up after 100 ms at the earliest. One that waits for its server for hours is asked less and less often.
		const soonest, latest = 5 * time.Millisecond, 250 * time.Millisecond
		pause := time.NewTimer(soonest)
		defer pause.Stop()
		for began := time.Now(); ; {
			if state, err := admin.State(ctx); err == nil && state == "LIVE" {
				return nil
			}
			pause.Reset(min(max(time.Since(began)/20, soonest), latest))
			select {
			case <-pause.C:
			case <-ctx.Done():
				return fmt.Errorf("asking Envoy at %s whether it is live: %w", address, ctx.Err())
			}
		}
	}
}
