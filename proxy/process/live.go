package process

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// Live makes a hook for Options.Serving that waits until Envoy calls itself live: it has its clusters and listeners. The
// address is that of Envoy's admin interface: network "tcp" or "unix".
func Live(network, address string) func(context.Context) error {
	return func(ctx context.Context) error {
		client := &http.Client{Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, network, address)
			},
		}}
		const between = 5 * time.Millisecond // Envoy answers in less, and is up after 100 ms at the earliest
		ticker := time.NewTicker(between)
		defer ticker.Stop()
		for !live(ctx, client) {
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return fmt.Errorf("asking Envoy at %s whether it is live: %w", address, ctx.Err())
			}
		}
		return nil
	}
}

func live(ctx context.Context, client *http.Client) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://envoy/ready", nil)
	if err != nil {
		return false
	}
	res, err := client.Do(req)
	if err != nil {
		return false // not yet
	}
	defer res.Body.Close()
	const enough = 100 // bytes; the answer is one word
	body, err := io.ReadAll(io.LimitReader(res.Body, enough))
	return err == nil && res.StatusCode == http.StatusOK && strings.TrimSpace(string(body)) == "LIVE"
}
