package echo_test

import (
	"runtime"
	"testing"

	"headgate.dev/proxy/echo"
)

// The Services of a large tree cost memory, not sockets and goroutines.
func TestThousandsOfTargetsShareASocket(t *testing.T) {
	s := echo.New(echo.Options{})
	t.Cleanup(func() { s.Close() })
	first := endpoint(t, s, shop)
	before := runtime.NumGoroutine()
	last := first
	for port := range int32(5000) {
		last = endpoint(t, s, echo.Target{Namespace: "team-c", Service: "many", Port: 1 + port})
	}
	if last.Port() != first.Port() {
		t.Errorf("%v and %v do not share a port", first, last)
	}
	if after := runtime.NumGoroutine(); after > before {
		t.Errorf("%d goroutines, %d before", after, before)
	}
	_, body := get(t, newClient(t, false), last)
	if a := answerOf(t, body); a.Port != 5000 {
		t.Errorf("the last one answered as %+v", a)
	}
}
