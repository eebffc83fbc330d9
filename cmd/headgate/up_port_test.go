package main

import (
	"net"
	"strings"
	"sync"
	"testing"

	"headgate.dev/cmd/internal/lab"
)

// TestUpFirstGatewayTakesThePort: a platform team's first GatewaySpec answers where the default Gateway did.
func TestUpFirstGatewayTakesThePort(t *testing.T) {
	s := startUp(t, newRepo(t, map[string]string{"hello.yaml": spec("hello", "hello.test", "")}))
	s.live()
	answers := func(what string) {
		t.Helper()
		waitFor(t, func() bool { // the listener moves from one Gateway to the other
			a, err := lab.Get(lab.Client(s.port), "hello.test", "/", nil)
			return err == nil && a.Status == 200
		})
		if t.Failed() {
			t.Fatal(what)
		}
	}
	answers("the default Gateway")
	s.commit("gateway.yaml", "apiVersion: headgate.dev/v1alpha1\nkind: GatewaySpec\nmetadata: {name: public}\nspec: {default: true}\n")
	answers("the first of one's own")
	s.commit("gateway.yaml", "")
	answers("the default Gateway again")
}

// TestUpTwiceOnOnePort: of two that are started together, one serves, and one says why it does not and ends.
func TestUpTwiceOnOnePort(t *testing.T) {
	port, err := lab.FreePort()
	must(t, err)
	var wg sync.WaitGroup
	events, boxes := make([]lab.Event, 2), make([]*sandbox, 2)
	for i := range events {
		s := &sandbox{TB: t, repo: newRepo(t, map[string]string{"hello.yaml": spec("hello", "hello.test", "")}), port: port, ctx: t.Context()}
		boxes[i] = s
	}
	for i, s := range boxes {
		s.start()
		wg.Go(func() {
			var err error
			if events[i], err = s.up.Next(s.ctx, "live", "error"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if events[0].Event == events[1].Event {
		t.Fatalf("both say %q: %+v", events[0].Event, events)
	}
	for i, e := range events {
		if e.Event != "error" {
			continue
		}
		if !strings.Contains(e.Errors[0].Message, "address already in use") {
			t.Errorf("the other says %+v", e.Errors)
		}
		if err := boxes[i].up.Wait(); err == nil || !strings.Contains(err.Error(), "exit status 3") {
			t.Errorf("the other ends with %v", err)
		}
	}
}

// TestUpPortInUseAtTheStart ends: somebody is there to choose another port.
func TestUpPortInUseAtTheStart(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	repo := newRepo(t, map[string]string{"hello.yaml": spec("hello", "hello.test", "")})
	s := &sandbox{TB: t, repo: repo, port: l.Addr().(*net.TCPAddr).Port, ctx: t.Context()}
	s.start()
	if err := s.up.Wait(); err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("exit: %v", err)
	}
}

// TestUpOnceFailsWhatIsNotServed: a route that no Gateway takes is no success.
func TestUpOnceFailsWhatIsNotServed(t *testing.T) {
	s := startUp(t, newRepo(t, map[string]string{"hello.yaml": spec("hello", "hello.test", "  - {path: /, to: elsewhere/secret}\n")}), "--once")
	if e := s.live(); len(e.Refused) != 1 || e.Refused[0].File != "hello.yaml" {
		t.Errorf("got %+v", e)
	}
	if err := s.up.Wait(); err == nil || !strings.Contains(err.Error(), "exit status 1") {
		t.Errorf("exit: %v", err)
	}
}

// TestNoEscapeReachesTheTerminal: whatever a repository holds, output has no control characters of its choice.
func TestNoEscapeReachesTheTerminal(t *testing.T) {
	dir := newRepo(t, map[string]string{
		"spec.yaml": spec("a", "a.test", "") + "  gateway: \"\\e]0;pwn\\a\"\n",
		"raw.yaml":  "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: \"r\\e[31m\"}\nspec: {rules: 7}\n",
	}).Dir
	for _, output := range []string{"text", "github", "json"} {
		_, out, errs := headgate(t, "validate", dir, "--output", output)
		if strings.ContainsAny(out+errs, "\x1b\a") || !strings.Contains(out, "spec.yaml") {
			t.Errorf("%s: %q%q", output, out, errs)
		}
	}
}
