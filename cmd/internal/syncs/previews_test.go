package syncs

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"headgate.dev/cmd/internal/term"
	"headgate.dev/schema"
)

// TestPreviewTable lists previews beside what has none and why, within the width of a screen, whatever strangers wrote.
func TestPreviewTable(t *testing.T) {
	ago := func(d time.Duration) metav1.Time { return metav1.Time{Time: teller.Now.Add(-d)} }
	preview := func(name, author, host string, condition metav1.Condition) schema.Preview {
		p := schema.Preview{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "shop." + name, CreationTimestamp: ago(3 * time.Minute)},
			Spec: schema.PreviewSpec{Sync: "shop", Name: name, Author: author}}
		p.Status.URL, p.Status.Revision = "https://"+host, name+"@sha1:8c1d22f10b6d7a8892c1d3e4f5a6b7c8d9e0f1a2"
		p.Status.Conditions = []metav1.Condition{condition}
		return p
	}
	live := metav1.Condition{Type: schema.PreviewLive, Status: metav1.ConditionTrue}
	previews := []schema.Preview{
		preview("pr-100", "ada", "shop-pr-100.preview.example.com", live),
		preview("pr-42", "ada", "shop-pr-42.preview.example.com", live),
		preview("pr-43", "eve\x1b[31m", "a-service-with-quite-a-long-name-indeed-pr-43.preview.example.com", metav1.Condition{Type: schema.PreviewReady, Status: metav1.ConditionFalse,
			Message: "pr-43@8c1d22f: shop.yaml:7:3: spec.timeout: expected a duration, found \"soon\""}),
	}
	seen := ago(time.Hour * 5)
	sync := schema.Sync{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "shop"}}
	sync.Status.Previews = &schema.SyncPreviewsStatus{Without: []schema.PreviewAbsence{
		{Name: "pr-44", Number: 44, Author: "eve", Commit: "4f2a9c1e0b6d7a8892c1d3e4f5a6b7c8d9e0f1a2", Reason: "Fork", Seen: &seen,
			Message: "this pull request comes from a fork; someone with write access can approve exactly this commit with /preview 4f2a9c1e0b6d7a8892c1d3e4f5a6b7c8d9e0f1a2"},
		{Name: "pr-42", Number: 42, Commit: "77aa3100b6d7a8892c1d3e4f5a6b7c8d9e0f1a24", Reason: "StatusMissing", Message: "the commit status ci is not green yet"},
	}}
	rows := PreviewRows(previews, []schema.Sync{sync})
	var order []string
	for _, r := range rows {
		order = append(order, r.Preview)
	}
	if got := strings.Join(order, " "); got != "pr-42 pr-43 pr-44 pr-100" {
		t.Errorf("the order is %s", got)
	}
	for _, c := range []Columns{{}, {Namespace: true}} {
		text := teller.PreviewTable(rows, c)
		for line := range strings.Lines(text) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > term.Columns {
				t.Errorf("%d columns: %s", n, line)
			}
		}
		if strings.Contains(text, "\x1b") {
			t.Errorf("an escape sequence is in\n%s", text)
		}
	}
	text := teller.PreviewTable(rows, Columns{})
	for _, want := range []string{"SYNC  PREVIEW  URL", "https://shop-pr-42.preview.example.com", "8c1d22f   True", "<none>", "4f2a9c1   Fork", "5h", "shop.yaml:7:3",
		"shop pr-42  77aa310 is not previewed yet: the commit status ci is not green yet", "/preview 4f2a9c1e0b6d7a8892c1d3e4f5a6b7c8d9e0f1a2"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}
