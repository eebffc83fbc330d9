package main

import (
	"strings"
	"testing"
	"time"
)

func TestResultsComeOutOfEvents(t *testing.T) {
	events := `{"Action":"start"}
{"Action":"output","Test":"TestConformance","Output":"    suite.go:1: Test Setup\n"}
{"Action":"run","Test":"TestConformance/HTTPRouteSimpleSameNamespace"}
{"Action":"output","Test":"TestConformance/HTTPRouteSimpleSameNamespace","Output":"    apply.go:9: 2026-01-01T00:00:00.1Z Applying\n"}
{"Action":"run","Test":"TestConformance/HTTPRouteSimpleSameNamespace/part"}
{"Action":"output","Test":"TestConformance/HTTPRouteSimpleSameNamespace/part","Output":"    http.go:7: \n"}
{"Action":"output","Test":"TestConformance/HTTPRouteSimpleSameNamespace/part","Output":"        \tError Trace:\t/some/http.go:7\n"}
{"Action":"output","Test":"TestConformance/HTTPRouteSimpleSameNamespace/part","Output":"        \tError:      \tReceived unexpected error:\n"}
{"Action":"output","Test":"TestConformance/HTTPRouteSimpleSameNamespace/part","Output":"        \t            \tcontext deadline exceeded\n"}
{"Action":"output","Test":"TestConformance/HTTPRouteSimpleSameNamespace/part","Output":"        \tTest:       \tTestConformance/part\n"}
{"Action":"output","Test":"TestConformance/HTTPRouteSimpleSameNamespace/part","Output":"        \tMessages:   \terror waiting for the route\n"}
{"Action":"fail","Test":"TestConformance/HTTPRouteSimpleSameNamespace/part","Elapsed":3}
no event at all
{"Action":"fail","Test":"TestConformance/HTTPRouteSimpleSameNamespace","Elapsed":4.5}
{"Action":"run","Test":"TestConformance/UDPRoute"}
{"Action":"pass","Test":"TestConformance/UDPRoute","Elapsed":1}
{"Action":"run","Test":"TestConformance/TLSRouteSimpleSameNamespace"}
`
	c := newCollection()
	for line := range strings.Lines(events) {
		c.add(line)
	}
	got := c.results()
	want := map[string]result{
		"HTTPRouteSimpleSameNamespace": {Name: "HTTPRouteSimpleSameNamespace", Outcome: "fail", Seconds: 4.5,
			Reason: "Received unexpected error: context deadline exceeded: error waiting for the route"},
		"UDPRoute":                    {Name: "UDPRoute", Outcome: "pass", Seconds: 1},
		"TLSRouteSimpleSameNamespace": {Name: "TLSRouteSimpleSameNamespace"},
	}
	for name, w := range want {
		if got[name] != w {
			t.Errorf("%s: got %+v, want %+v", name, got[name], w)
		}
	}
	regressed, added := compare([]string{"HTTPRouteSimpleSameNamespace", "TLSRouteSimpleSameNamespace"}, got)
	if len(regressed) != 2 || len(added) != 1 || added[0] != "UDPRoute" {
		t.Errorf("no longer passing: %v, new: %v; a listed test that did not end counts as failed", regressed, added)
	}
	if regressed, _ := compare([]string{"GRPCRouteWeight"}, got); len(regressed) != 0 {
		t.Errorf("a test that was not asked for counts: %v", regressed)
	}
	if regressed, _ := compare([]string{"GRPCRouteWeight"}, whole(got)); len(regressed) != 1 {
		t.Errorf("a whole run that does not come to a listed test has not failed: %v", regressed)
	}
	text := table(got, time.Minute)
	for _, want := range []string{"1 passed, 1 failed, 0 skipped, 145 not run", "| UDP core | 1 | 0 | 0 |", "| fail | HTTP core | 4 | Received unexpected error"} {
		if !strings.Contains(text, want) {
			t.Errorf("the summary lacks %q:\n%s", want, text)
		}
	}
}

func TestErrorsWithoutAssertions(t *testing.T) {
	for text, want := range map[string]string{
		"    a.go:1: 2026-01-01T00:00:00Z: Applying\n    b.go:2: expected 200, got 404\n--- FAIL: T\n    c.go:3: Deleting\n": "expected 200, got 404",
		"    a.go:1: 2026-01-01T00:00:00Z: Response expectation failed for request: {}  not ready yet: expected x header to be set, actual headers: map[]\n" +
			"    a.go:2: 2026-01-01T00:00:00Z: timeout while waiting\n--- FAIL: T\n": "timeout while waiting: expected x header to be set",
		"    a.go:1: 2026-01-01T00:00:00Z: Waiting\n": "Waiting",
		"": "",
	} {
		r := running{}
		r.log.WriteString(text)
		if got := r.firstError(); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestPassingListIsSortedAndKnown(t *testing.T) {
	for text, problem := range map[string]string{
		"# a comment\n\nGRPCRouteWeight\nUDPRoute\n": "",
		"UDPRoute\nGRPCRouteWeight\n":                "not in its place",
		"UDPRoute\nUDPRoute\n":                       "not in its place",
		"NoSuchTest\n":                               "no test NoSuchTest",
	} {
		_, err := parseList(text)
		if (err == nil) != (problem == "") || err != nil && !strings.Contains(err.Error(), problem) {
			t.Errorf("%q: %v, want %q", text, err, problem)
		}
	}
	if _, err := readList("passing.txt"); err != nil {
		t.Error(err)
	}
}

func TestSuiteIsTheWholeOne(t *testing.T) {
	if got := len(gatewayTests()); got != 147 {
		t.Errorf("%d tests of Gateways, want 147", got)
	}
	if got := len(allFeatures()); got != 50 {
		t.Errorf("%d features, want 50: %v", got, allFeatures())
	}
}

func TestBeyond(t *testing.T) {
	if got, err := beyond("198.18.129.1-198.18.129.239"); err != nil || got != "198.18.129.250" {
		t.Errorf("%s, %v", got, err)
	}
	for _, pool := range []string{"", "198.18.1.1", "a-b"} {
		if got, err := beyond(pool); err == nil {
			t.Errorf("%q: %s", pool, got)
		}
	}
}
