package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

var visitor = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}

// ask sends a request for a host to an address, and returns status and body.
func ask(ctx context.Context, address, host string) (int, string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/", nil)
	if err != nil {
		return 0, "", err
	}
	request.Host = host
	response, err := visitor.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<10))
	return response.StatusCode, string(body), err
}

// answers waits until a route is answered by a backend. It counts the answers before that which are neither 404 nor from a backend.
func (c *cluster) answers(ctx context.Context, name string, backend string) (odd int, err error) {
	c.asked[name] = true
	err = until(ctx, patience, func() error {
		code, body, err := ask(ctx, c.address, hostOf(name))
		switch {
		case err != nil:
			odd++
			return err
		case code == http.StatusOK && body == backend:
			return nil
		case code != http.StatusNotFound && code != http.StatusOK:
			odd++
		}
		return fmt.Errorf("%s answers %d %q, not %s", name, code, body, backend)
	})
	return odd, err
}

// load asks a route at a constant rate, whatever the answers take.
type load struct {
	mu                    sync.Mutex // guards what follows
	asked, failed, strays int
}

// run goes on until ctx ends. wanted is the backend that is to answer.
func (l *load) run(ctx context.Context, address, host, wanted string, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	var open sync.WaitGroup
	defer open.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		open.Go(func() {
			code, body, err := ask(context.WithoutCancel(ctx), address, host)
			l.mu.Lock()
			defer l.mu.Unlock()
			l.asked++
			switch {
			case err != nil || code != http.StatusOK:
				l.failed++
			case body != wanted:
				l.strays++
			}
		})
	}
}
