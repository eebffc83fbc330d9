package verdict

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"headgate.dev/agent/forge"
	"headgate.dev/schema"
)

const commitA, commitB = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

func TestOf(t *testing.T) {
	a, b := "main@sha1:"+commitA, "main@sha1:"+commitB
	cond := func(kind string, status metav1.ConditionStatus, reason, message string) metav1.Condition {
		return metav1.Condition{Type: kind, Status: status, Reason: reason, Message: message}
	}
	live := func(took string, gateways ...schema.SyncGatewayStatus) *schema.SyncLiveStatus {
		return &schema.SyncLiveStatus{Revision: a, Took: took, Gateways: gateways}
	}
	two := []schema.SyncGatewayStatus{{Acked: 2, Total: 2}, {Acked: 1, Total: 1}}
	isLive := []metav1.Condition{cond("Live", "True", "Live", "")}
	for name, c := range map[string]struct {
		status schema.SyncStatus
		state  forge.StatusState
		text   string
	}{
		"nothing yet": {schema.SyncStatus{}, "", ""},
		"on its way":  {schema.SyncStatus{AttemptedRevision: a, Revision: b, Conditions: isLive}, forge.Pending, "on its way"},
		"applied": {schema.SyncStatus{AttemptedRevision: a, Revision: a, Conditions: []metav1.Condition{cond("Live", "Unknown", "Waiting", "")}},
			forge.Pending, "applied, and on its way to the Envoys"},
		"live":            {schema.SyncStatus{AttemptedRevision: a, Revision: a, Live: live("812ms", two...), Conditions: isLive}, forge.Success, "live on 3 of 3 Envoys in 0.8 s"},
		"on one, later":   {schema.SyncStatus{AttemptedRevision: a, Revision: a, Live: live("42.1s", two[1]), Conditions: isLive}, forge.Success, "live on 1 of 1 Envoy in 42 s"},
		"without traffic": {schema.SyncStatus{AttemptedRevision: a, Revision: a, Live: live("3m"), Conditions: []metav1.Condition{cond("Live", "True", "Healthy", "")}}, forge.Success, "applied in 3 min; it changes nothing that an Envoy has"},
		"refused": {schema.SyncStatus{AttemptedRevision: a, Revision: b, History: []schema.SyncHistory{{Revision: a, Result: schema.ResultRefused, Message: "main@aaaaaaa: cart.yaml:12:9: timeout: it is no duration"}}},
			forge.Failure, "cart.yaml:12:9: timeout: it is no duration"},
		"refused by Envoy": {schema.SyncStatus{AttemptedRevision: a, Revision: a, Conditions: []metav1.Condition{cond("Live", "False", "Refused", "HTTPRoute shop/cart (cart.yaml:3): no")}},
			forge.Failure, "HTTPRoute shop/cart (cart.yaml:3): no"},
		"the host is away": {schema.SyncStatus{AttemptedRevision: a, Revision: a, Live: live("812ms", two...),
			Conditions: []metav1.Condition{cond("Ready", "False", "FetchFailed", "no answer"), isLive[0]}}, forge.Success, "live on 3 of 3 Envoys in 0.8 s"},
		"an older one failed": {schema.SyncStatus{AttemptedRevision: a, Revision: b, History: []schema.SyncHistory{{Revision: b, Result: schema.ResultFailed, Message: "x"}}}, forge.Pending, "on its way"},
	} {
		v, ok := Of(&c.status)
		if ok != (c.state != "") || ok && (v.State != c.state || v.Text != c.text || v.Commit != commitA) {
			t.Errorf("%s: %+v %t", name, v, ok)
		}
	}
}

// TestSaid: what a host is told from report to report, and what it is not told.
func TestSaid(t *testing.T) {
	at := func(commit string, state forge.StatusState, text string) Verdict { return Verdict{commit, state, text} }
	for name, c := range map[string]struct {
		last Verdict
		want Verdict
		next []Verdict
	}{
		"first":               {Verdict{}, at(commitA, forge.Pending, "x"), []Verdict{at(commitA, forge.Pending, "x")}},
		"the same":            {at(commitA, forge.Pending, "x"), at(commitA, forge.Pending, "x"), nil},
		"live":                {at(commitA, forge.Pending, "x"), at(commitA, forge.Success, "live"), []Verdict{at(commitA, forge.Success, "live")}},
		"a fleet that grew":   {at(commitA, forge.Success, "live on 3"), at(commitA, forge.Success, "live on 5"), nil},
		"another error":       {at(commitA, forge.Failure, "x"), at(commitA, forge.Failure, "y"), []Verdict{at(commitA, forge.Failure, "y")}},
		"the next":            {at(commitA, forge.Success, "live"), at(commitB, forge.Pending, "x"), []Verdict{at(commitB, forge.Pending, "x")}},
		"overtaken":           {at(commitA, forge.Pending, "x"), at(commitB, forge.Success, "live"), []Verdict{at(commitA, forge.Failure, "overtaken by bbbbbbb before it was live"), at(commitB, forge.Success, "live")}},
		"refused afterwards":  {at(commitA, forge.Success, "live"), at(commitA, forge.Failure, "x"), []Verdict{at(commitA, forge.Failure, "x")}},
		"late, and then live": {at(commitA, forge.Failure, "late"), at(commitA, forge.Success, "live"), []Verdict{at(commitA, forge.Success, "live")}},
	} {
		if diff := cmp.Diff(c.next, Said{c.last}.Next(c.want)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestSeconds(t *testing.T) {
	for d, want := range map[time.Duration]string{40 * time.Millisecond: "0.0 s", 740 * time.Millisecond: "0.7 s", 12 * time.Second: "12 s", 5 * time.Minute: "5 min"} {
		if got := seconds(d); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
	if strings.Contains(seconds(time.Hour), "s") {
		t.Error("an hour in seconds")
	}
}
