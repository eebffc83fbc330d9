package life

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// id makes a commit of a digit.
func id(c string) string { return strings.Repeat(c, 40) }

func rules() Rules {
	return Rules{Follows: "main", Total: 3, PerAuthor: 2, TTL: 24 * time.Hour, MaxAge: 72 * time.Hour}
}

func pull(n int, head string) Subject {
	return Subject{Number: n, Author: fmt.Sprintf("u%d", n), Target: "main", Head: id(head), Base: id("0")}
}

func made(n int, head string) Preview {
	return Preview{Name: NameOf(n), Number: n, Author: fmt.Sprintf("u%d", n), Commit: id(head), Base: id("0"), Pushed: noon.Add(-time.Hour), Created: noon.Add(-time.Hour)}
}

func forked[T any](v T, f func(*T)) T { f(&v); return v }

// told is a decision in a few words.
func told(d Decision) string {
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	for _, p := range d.Create {
		say("create %s at %.7s", p.Name, p.Commit)
	}
	for _, p := range d.Update {
		say("update %s to %.7s", p.Name, p.Commit)
	}
	for _, x := range d.Delete {
		say("delete %s: %s", x.Preview.Name, x.Message)
	}
	for _, a := range d.Absences {
		say("%s %s at %.7s", a.Reason, a.Name, a.Commit)
	}
	for _, n := range d.Unlabel {
		say("unlabel %d", n)
	}
	for _, x := range d.Denied {
		say("deny %s: %s", x.Approval.By, x.Message)
	}
	return strings.Join(out, "; ")
}

func TestDecide(t *testing.T) {
	fork := func(s *Subject) { s.Fork = true }
	byFork := func(p *Preview) { p.Fork, p.ApprovedBy = true, "ada" }
	tests := []struct {
		name string
		w    World
		want string
	}{
		{"nothing", World{}, ""},
		{"a new one", World{Subjects: []Subject{pull(1, "a")}}, "create pr-1 at aaaaaaa"},
		{"a push", World{Subjects: []Subject{pull(1, "b")}, Previews: []Preview{made(1, "a")}}, "update pr-1 to bbbbbbb"},
		{"nothing new", World{Subjects: []Subject{pull(1, "a")}, Previews: []Preview{made(1, "a")}, Current: true}, ""},
		{"nothing is said of it", World{Previews: []Preview{made(1, "a")}, Current: true}, ""},
		{"merged", World{Previews: []Preview{made(1, "a")}, Over: map[string]string{"pr-1": "merged"}}, "delete pr-1: merged"},
		{"merged, and still in the list", World{Subjects: []Subject{pull(1, "a")}, Previews: []Preview{made(1, "a")}, Over: map[string]string{"pr-1": "merged"}}, "delete pr-1: merged"},
		{"a draft", World{Subjects: []Subject{forked(pull(1, "a"), func(s *Subject) { s.Draft = true })}, Previews: []Preview{made(1, "a")}}, "delete pr-1: it is a draft"},
		{"to elsewhere", World{Subjects: []Subject{forked(pull(1, "a"), func(s *Subject) { s.Target = "old" })}}, ""},
		{"without a merge base", World{Subjects: []Subject{forked(pull(1, "a"), func(s *Subject) { s.Base = "" })}}, "NoBase pr-1 at aaaaaaa"},
		{"the host has not found the merge base after a push", World{Subjects: []Subject{forked(pull(1, "b"), func(s *Subject) { s.Base = "" })}, Previews: []Preview{made(1, "a")}}, "NoBase pr-1 at bbbbbbb"},
		{"without a commit", World{Subjects: []Subject{pull(1, "0")}}, "Nothing pr-1 at 0000000"},

		{"ended by hand", World{Subjects: []Subject{pull(1, "a")}, Previews: []Preview{forked(made(1, "a"), func(p *Preview) { p.Ending = true })}}, "Ended pr-1 at aaaaaaa"},
		{"ended by hand while nothing is known", World{Previews: []Preview{forked(made(1, "a"), func(p *Preview) { p.Ending = true })}}, "Ended pr-1 at aaaaaaa"},
		{"ended by us and wanted again", World{Subjects: []Subject{pull(1, "a")}, Previews: []Preview{forked(made(1, "a"), func(p *Preview) { p.Ending, p.Ours = true, true })}}, "Waiting pr-1 at aaaaaaa"},
		{"stays ended", World{Subjects: []Subject{pull(1, "a")}, Absences: []Absence{{Name: "pr-1", Number: 1, Commit: id("a"), Reason: Ended}}}, "Ended pr-1 at aaaaaaa"},
		{"stays ended in a hole", World{Absences: []Absence{{Name: "pr-1", Number: 1, Commit: id("a"), Reason: Ended}}}, "Ended pr-1 at aaaaaaa"},
		{"comes back with a push", World{Subjects: []Subject{pull(1, "b")}, Absences: []Absence{{Name: "pr-1", Number: 1, Commit: id("a"), Reason: Ended}}}, "create pr-1 at bbbbbbb"},
		{"forgotten when it is over", World{Over: map[string]string{"pr-1": "closed"}, Absences: []Absence{{Name: "pr-1", Number: 1, Commit: id("a"), Reason: Ended}}}, ""},

		{"nothing pushed for long", World{Current: true, Subjects: []Subject{pull(1, "a")}, Previews: []Preview{forked(made(1, "a"), func(p *Preview) { p.Pushed = noon.Add(-25 * time.Hour) })}},
			"delete pr-1: nothing was pushed for 1 days (previews.ttl); Expired pr-1 at aaaaaaa"},
		{"nothing heard for long", World{Subjects: []Subject{pull(1, "a")}, Previews: []Preview{forked(made(1, "a"), func(p *Preview) { p.Pushed = noon.Add(-25 * time.Hour) })}}, ""},
		{"a push after long", World{Current: true, Subjects: []Subject{pull(1, "b")}, Previews: []Preview{forked(made(1, "a"), func(p *Preview) { p.Pushed = noon.Add(-25 * time.Hour) })}}, "update pr-1 to bbbbbbb"},
		{"too old", World{Current: true, Subjects: []Subject{pull(1, "b")}, Previews: []Preview{forked(made(1, "a"), func(p *Preview) { p.Created = noon.Add(-73 * time.Hour) })}},
			"delete pr-1: it was there for 3 days (previews.maxAge); Expired pr-1 at bbbbbbb"},
		{"too old and pinned", World{Current: true, Subjects: []Subject{pull(1, "a")}, Previews: []Preview{forked(made(1, "a"), func(p *Preview) { p.Created, p.Pin = noon.Add(-999*time.Hour), true })}}, ""},

		{"a full house", World{Subjects: []Subject{pull(1, "a"), pull(4, "b")}, Previews: []Preview{made(1, "a"), made(2, "a"), made(3, "a")}}, "Full pr-4 at bbbbbbb"},
		{"the older first", World{Subjects: []Subject{pull(5, "b"), pull(4, "b")}, Previews: []Preview{made(1, "a"), made(2, "a")}}, "create pr-4 at bbbbbbb; Full pr-5 at bbbbbbb"},
		{"a limit that was lowered", World{Rules: forked(rules(), func(r *Rules) { r.Total = 1 }), Subjects: []Subject{pull(1, "b"), pull(2, "a")}, Previews: []Preview{made(1, "a"), made(2, "a")}}, "update pr-1 to bbbbbbb"},
		{"room is about to be", World{Subjects: []Subject{pull(4, "b")}, Previews: []Preview{made(1, "a"), made(2, "a"), made(3, "a")}, Over: map[string]string{"pr-2": "closed"}}, "delete pr-2: closed; Waiting pr-4 at bbbbbbb"},
		{"one's own limit", World{Subjects: []Subject{forked(pull(4, "b"), func(s *Subject) { s.Author = "Ada" })},
			Previews: []Preview{forked(made(1, "a"), func(p *Preview) { p.Author = "ada" }), forked(made(2, "a"), func(p *Preview) { p.Author = "ADA" })}}, "Full pr-4 at bbbbbbb"},

		{"a status that is not green", World{Rules: forked(rules(), func(r *Rules) { r.Requires = "ci" }), Subjects: []Subject{pull(1, "b")}, Previews: []Preview{made(1, "a")}, Checks: map[string]Check{id("b"): Pending}}, "StatusMissing pr-1 at bbbbbbb"},
		{"a status that is green", World{Rules: forked(rules(), func(r *Rules) { r.Requires = "ci" }), Subjects: []Subject{pull(1, "b")}, Previews: []Preview{made(1, "a")}, Checks: map[string]Check{id("b"): Green}}, "update pr-1 to bbbbbbb"},

		{"a fork", World{Subjects: []Subject{forked(pull(1, "a"), fork)}}, "Fork pr-1 at aaaaaaa"},
		{"a fork that is approved", World{Subjects: []Subject{forked(pull(1, "a"), fork)}, Approvals: []Approval{{Number: 1, Commit: id("a"), By: "ada", At: noon}}}, "create pr-1 at aaaaaaa"},
		{"by the first digits", World{Subjects: []Subject{forked(pull(1, "a"), fork)}, Approvals: []Approval{{Number: 1, Commit: "aaaaaaa", By: "ada", At: noon}}}, "create pr-1 at aaaaaaa"},
		{"by too few", World{Subjects: []Subject{forked(pull(1, "a"), fork)}, Approvals: []Approval{{Number: 1, Commit: "aaaaaa", By: "ada", At: noon}}},
			"Fork pr-1 at aaaaaaa; deny ada: the head is " + id("a") + " now, which is another commit"},
		{"another commit", World{Subjects: []Subject{forked(pull(1, "b"), fork)}, Approvals: []Approval{{Number: 1, Commit: id("a"), By: "ada", At: noon}}},
			"Fork pr-1 at bbbbbbb; deny ada: the head is " + id("b") + " now, which is another commit"},
		{"the first digits of an older head", World{Subjects: []Subject{forked(pull(1, "a"), fork)}, Absences: []Absence{{Name: "pr-1", Number: 1, Commit: id("a"), Previous: "aaaaaaab" + id("b")[8:], Seen: noon, Reason: Fork}},
			Approvals: []Approval{{Number: 1, Commit: "aaaaaaa", By: "ada", At: noon.Add(time.Minute)}}},
			"Fork pr-1 at aaaaaaa; deny ada: the head before begins with the same digits: name the whole commit, " + id("a")},
		{"first digits that are older than the head", World{Subjects: []Subject{forked(pull(1, "a"), fork)}, Approvals: []Approval{{Number: 1, Commit: "aaaaaaa", By: "ada", At: noon.Add(-time.Minute)}}},
			"Fork pr-1 at aaaaaaa; deny ada: it is older than the head: name the whole commit, " + id("a")},
		{"a fork stays approved", World{Subjects: []Subject{forked(pull(1, "a"), fork)}, Previews: []Preview{forked(made(1, "a"), byFork)}}, ""},
		{"a push takes the approval", World{Subjects: []Subject{forked(pull(1, "b"), fork)}, Previews: []Preview{forked(made(1, "a"), byFork)}},
			"delete pr-1: its head is another commit, which nobody has approved; Fork pr-1 at bbbbbbb"},
		{"a push that is approved", World{Subjects: []Subject{forked(pull(1, "b"), fork)}, Previews: []Preview{forked(made(1, "a"), byFork)}, Approvals: []Approval{{Number: 1, Commit: id("b"), By: "ada", At: noon}}}, "update pr-1 to bbbbbbb"},
		{"approved in a full house", World{Subjects: []Subject{forked(pull(4, "a"), fork)}, Previews: []Preview{made(1, "a"), made(2, "a"), made(3, "a")}, Approvals: []Approval{{Number: 4, Commit: id("a"), By: "ada", At: noon}}}, "Full pr-4 at aaaaaaa"},
		{"approved before there was room", World{Subjects: []Subject{forked(pull(4, "a"), fork)}, Absences: []Absence{{Name: "pr-4", Number: 4, Commit: id("a"), Reason: Full, ApprovedBy: "ada"}}}, "create pr-4 at aaaaaaa"},
		{"approved before a push", World{Subjects: []Subject{forked(pull(4, "b"), fork)}, Absences: []Absence{{Name: "pr-4", Number: 4, Commit: id("a"), Reason: Full, ApprovedBy: "ada"}}}, "Fork pr-4 at bbbbbbb"},
		{"a label that is just there", World{Rules: forked(rules(), func(r *Rules) { r.ForkLabel = "ok" }), Subjects: []Subject{forked(pull(1, "a"), func(s *Subject) { s.Fork, s.Labels = true, []string{"ok"} })}}, "Fork pr-1 at aaaaaaa"},
		{"a label that was set", World{Rules: forked(rules(), func(r *Rules) { r.ForkLabel = "ok" }), Subjects: []Subject{forked(pull(1, "a"), func(s *Subject) { s.Fork, s.Labels = true, []string{"ok"} })},
			Approvals: []Approval{{Number: 1, Commit: id("a"), By: "ada", At: noon, Label: true}}}, "create pr-1 at aaaaaaa"},
		{"a push with a label", World{Rules: forked(rules(), func(r *Rules) { r.ForkLabel = "ok" }), Subjects: []Subject{forked(pull(1, "b"), func(s *Subject) { s.Fork, s.Labels = true, []string{"ok"} })}, Previews: []Preview{forked(made(1, "a"), byFork)}},
			"delete pr-1: its head is another commit, which nobody has approved; Fork pr-1 at bbbbbbb; unlabel 1"},
		{"a label right after a push", World{Rules: forked(rules(), func(r *Rules) { r.ForkLabel = "ok" }), Subjects: []Subject{forked(pull(1, "b"), func(s *Subject) { s.Fork, s.Labels = true, []string{"ok"} })},
			Absences: []Absence{{Name: "pr-1", Number: 1, Commit: id("b"), Previous: id("a"), Seen: noon.Add(-time.Second), Reason: Fork}}, Approvals: []Approval{{Number: 1, Commit: id("b"), By: "ada", At: noon, Label: true}}},
			"Fork pr-1 at bbbbbbb; unlabel 1; deny ada: the head moved just before the label was set: look at it again, and set the label once more"},
		{"a fork that a filter leaves out", World{Rules: forked(rules(), func(r *Rules) { r.Authors = []string{"!U1"} }), Subjects: []Subject{forked(pull(1, "a"), fork)}, Approvals: []Approval{{Number: 1, Commit: id("a"), At: noon}}}, ""},

		{"branches", World{Rules: forked(rules(), func(r *Rules) { r.Branches, r.Names = true, []string{"feature/*"} }),
			Subjects: []Subject{{Branch: "main", Head: id("a"), Base: id("0")}, {Branch: "feature/Cart", Head: id("a"), Base: id("0")}, {Branch: "feature/cart", Head: id("b"), Base: id("0")}, {Branch: "feature/a/b", Head: id("b"), Base: id("0")}}},
			"create feature-cart at aaaaaaa; create feature-cart-c39f4dfa at bbbbbbb"},
		{"pull requests no more", World{Rules: forked(rules(), func(r *Rules) { r.Branches, r.Names = true, []string{"*"} }), Previews: []Preview{made(1, "a")}}, "delete pr-1: previews of this Sync are of something else now"},
	}
	for _, test := range tests {
		if test.w.Rules.Total == 0 {
			test.w.Rules = rules()
		}
		test.w.Now = noon
		if got := told(Decide(test.w)); got != test.want {
			t.Errorf("%s:\n got %s\nwant %s", test.name, got, test.want)
		}
	}
}

// TestApprovalIsOfOneCommit goes through the life of a fork from one decision to the next, as a controller does that is restarted in between.
func TestApprovalIsOfOneCommit(t *testing.T) {
	w := World{Rules: rules(), Now: noon}
	head := func(c string) {
		s := pull(1, c)
		s.Fork = true
		w.Subjects = []Subject{s}
	}
	step := func(want string) {
		t.Helper()
		d := Decide(w)
		if got := told(d); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
		w.Absences, w.Approvals, w.Now = d.Absences, nil, w.Now.Add(time.Minute)
		w.Previews = append(w.Previews, d.Create...)
		for _, x := range d.Delete {
			w.Previews = w.Previews[:0]
			_ = x
		}
	}
	head("a")
	step("Fork pr-1 at aaaaaaa")
	w.Approvals = []Approval{{Number: 1, Commit: "aaaaaaa", By: "ada", At: w.Now}}
	step("create pr-1 at aaaaaaa")
	step("")
	head("b")
	step("delete pr-1: its head is another commit, which nobody has approved; Fork pr-1 at bbbbbbb")
	head("a") // back to what was approved
	step("Fork pr-1 at aaaaaaa")
	w.Approvals = []Approval{{Number: 1, Commit: id("a"), By: "ada", At: w.Now}}
	step("create pr-1 at aaaaaaa")
}

func TestMatch(t *testing.T) {
	for _, test := range []struct {
		pattern, name string
		want          bool
	}{
		{"main", "main", true}, {"main", "main2", false}, {"feature/*", "feature/a", true}, {"feature/*", "feature/a/b", false}, {"feature/**", "feature/a/b", true},
		{"*", "a", true}, {"*", "a/b", false}, {"**", "a/b", true}, {"a*b*c", "aXbYc", true}, {"a*b*c", "aXbY", false}, {"", "", true}, {"", "a", false}, {"**/x", "a/b/x", true},
		{strings.Repeat("*a", 60), strings.Repeat("a", 200) + "b", false},
	} {
		if got := Match(test.pattern, test.name); got != test.want {
			t.Errorf("Match(%q, %q) = %t", test.pattern, test.name, got)
		}
	}
}

func TestCommand(t *testing.T) {
	for comment, want := range map[string]string{
		"/preview 8C1d22f": "8c1d22f", "Looks good.\r\n/preview " + id("a") + "\r\n": id("a"), "/preview 8c1d22": "", "> /preview 8c1d22f": "", "`/preview 8c1d22f`": "",
		"please /preview 8c1d22f": "", "/preview 8c1d22f and more": "", "/preview main": "", "/preview 8c1d22f\n/preview 9c1d22f": "9c1d22f", "/preview": "",
	} {
		if got, ok := Command(comment); got != want || ok != (want != "") {
			t.Errorf("%q: %q, %t", comment, got, ok)
		}
	}
}
