package main

import (
	"encoding/json"
	"regexp"
	"strings"
)

// event is what test2json says. See `go doc test2json`.
type event struct {
	Action, Test, Output string
	Elapsed              float64
}

// result is what became of a test.
type result struct {
	Name string
	// Outcome is pass, fail or skip; empty while the test runs, or when the suite ended before it.
	Outcome string
	Seconds float64
	// Reason is the first error of a test that failed, in one line.
	Reason string
}

// running is a test with what it said, its parts included.
type running struct {
	result
	log strings.Builder
}

// collection is the events of a run so far.
type collection struct {
	tests    map[string]*running
	suite    running // what belongs to no test
	finished int
}

func newCollection() *collection { return &collection{tests: map[string]*running{}} }

// add takes a line of test2json's, and returns the test that ends with it. Lines of another kind are ignored, and so are tests that have
// nothing to do with Gateways, all of which the suite leaves out.
func (c *collection) add(line string) *running {
	var e event
	if json.Unmarshal([]byte(line), &e) != nil {
		return nil
	}
	parts := strings.SplitN(e.Test, "/", 3)
	if len(parts) < 2 {
		c.suite.log.WriteString(e.Output)
		return nil
	}
	if !known[parts[1]] {
		return nil
	}
	r := c.tests[parts[1]]
	if r == nil {
		r = &running{result: result{Name: parts[1]}}
		c.tests[parts[1]] = r
	}
	r.log.WriteString(e.Output)
	if len(parts) > 2 || e.Action != "pass" && e.Action != "fail" && e.Action != "skip" {
		return nil
	}
	c.finished++
	r.Outcome, r.Seconds = e.Action, e.Elapsed
	if e.Action == "fail" {
		r.Reason = r.firstError()
	}
	return r
}

func (c *collection) begun() bool { return len(c.tests) > 0 }

func (c *collection) results() map[string]result {
	all := map[string]result{}
	for name, r := range c.tests {
		all[name] = r.result
	}
	return all
}

var (
	// assertion is the block that an assertion of testify prints: columns of names and texts that may go on over lines.
	assertion = regexp.MustCompile(`(?m)^\s+Error Trace:[^\n]*\n(?:\s+\t[^\n]*\n)+`)
	column    = regexp.MustCompile(`(?m)^\s+(Error|Messages):\s+([^\n]*)((?:\n\s{8}\t\s{4,}\t[^\n]*)*)`)
	// logged is a line that a test logged, without position and time.
	logged = regexp.MustCompile(`(?m)^\s+\w+\.go:\d+: (?:\d{4}-\d{2}-\d{2}T\S+ )?([^\n]+)$`)
	// unexpected is what the suite logs of an answer that it does not want, which is long.
	unexpected = regexp.MustCompile(`not ready yet: (.*?)(?:, actual |, got headers|\s\(after |\n)`)
)

const maxReason = 300

// firstError finds the first error in what a test said: an assertion, else the last line that was logged before a part failed.
func (r *running) firstError() string {
	text := r.log.String()
	if block := assertion.FindString(text); block != "" {
		var said []string
		for _, c := range column.FindAllStringSubmatch(block, -1) {
			said = append(said, c[2]+" "+c[3])
		}
		return oneLine(strings.Join(said, ": "))
	}
	said, _, _ := strings.Cut(text, "--- FAIL")
	reason := ""
	if all := logged.FindAllStringSubmatch(said, -1); len(all) > 0 {
		reason = all[len(all)-1][1]
	}
	if all := unexpected.FindAllStringSubmatch(said, -1); len(all) > 0 {
		reason += ": " + all[len(all)-1][1]
	}
	return oneLine(reason)
}

func oneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > maxReason {
		s = strings.ToValidUTF8(s[:maxReason], "") + "…"
	}
	return s
}
