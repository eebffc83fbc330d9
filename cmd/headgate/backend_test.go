package main

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// startBackend serves at a port and returns a function that gives the last request: host and path.
func startBackend(t testing.TB, port int) func() string {
	t.Helper()
	var mu sync.Mutex
	var last string
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	must(t, err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		last = strings.Split(r.Host, ":")[0] + " " + r.URL.Path
		mu.Unlock()
		fmt.Fprint(w, "{}")
	})}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { server.Close() })
	return func() string {
		mu.Lock()
		defer mu.Unlock()
		return last
	}
}

// waitFor waits for something that other processes do.
func waitFor(t testing.TB, done func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("waited 30 seconds in vain")
		}
	}
}
