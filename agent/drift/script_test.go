package drift

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	"headgate.dev/render/object"
	"headgate.dev/schema"
)

var update = flag.Bool("update", false, "write the golden files")

// TestScripts runs testdata/*.txtar. The comment is a script: prose, and lines that begin with "> ", which are commands; what a command gives is
// indented below it. The files are what Git has, and policies.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts")
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, archive)
			if *update {
				archive.Comment = []byte(got)
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got != string(archive.Comment) {
				t.Errorf("got\n%s\nwant\n%s", got, archive.Comment)
			}
		})
	}
}

type script struct {
	*runner
	files map[string]string
	out   strings.Builder
	// written is what an apply wrote, until the answer comes.
	written []Written
}

func play(t *testing.T, archive *txtar.Archive) string {
	s := &script{runner: newRunner(t, Policy{}), files: map[string]string{}}
	for _, f := range archive.Files {
		s.files[f.Name] = string(f.Data)
	}
	for line := range strings.Lines(string(archive.Comment)) {
		if strings.HasPrefix(line, "    ") {
			continue
		}
		s.out.WriteString(line)
		if command, ok := strings.CutPrefix(line, "> "); ok {
			s.command(strings.Fields(command))
		}
	}
	return s.out.String()
}

func (s *script) say(format string, args ...any) {
	fmt.Fprintf(&s.out, "    "+format+"\n", args...)
}

// command runs one line. An object is KIND/NAME, its namespace always team-a.
func (s *script) command(words []string) {
	s.t.Helper()
	switch words[0] {
	case "policy":
		var p Policy
		decodeInto(s.t, s.files[words[1]], &p)
		s.effects(s.take(s.state.SetPolicy(s.now, p)))
	case "git":
		s.effects(s.deploy(s.parse(words[1:])))
	case "at":
		at, err := time.Parse("15:04:05", words[1])
		if err != nil {
			s.t.Fatal(err)
		}
		s.now = time.Date(2026, 11, 30, at.Hour(), at.Minute(), at.Second(), 0, time.UTC)
		s.effects(s.take(s.state.Tick(s.now)))
	case "next":
		if next := s.state.Next(s.now); next.IsZero() {
			s.say("never")
		} else {
			s.say("%s", next.Format("15:04:05"))
		}
	case "edit": // MANAGER OBJECT POINTER VALUE
		s.edit(words[1], s.id(words[2]), words[3], strings.Join(words[4:], " "))
	case "delete":
		s.remove(s.id(words[1]))
		s.effects(s.see(s.id(words[1])))
	case "see":
		s.effects(s.see(s.id(words[1])))
	case "list":
		s.effects(s.list())
	case "work":
		before := len(s.alerts)
		s.work()
		s.effects(Effects{Alerts: s.alerts[before:]})
	case "restart":
		before := len(s.alerts)
		s.restart()
		s.effects(Effects{Alerts: s.alerts[before:], Try: s.todo.Try, Correct: s.todo.Correct})
	case "force":
		s.effects(s.take(s.state.Force(s.now, s.id(words[1]))))
	case "break":
		s.broken = strings.Join(words[1:], " ")
	case "webhook": // POINTER VALUE: sets a field of everything that is applied
		s.mutate = func(content map[string]any) { set(s.t, content, words[1], words[2]) }
	case "begin": // an apply of a file
		for o := range s.parse(words[1:]).All() {
			s.state.Begin([]object.ID{o.ID})
		}
	case "write": // it is written
		for o := range s.parse(words[1:]).All() {
			s.written = append(s.written, Written{Object: o, Content: Hide(s.apply(stamped(o, s.rules), testManager, false), testKey)})
		}
	case "answer": // the answer comes
		s.set = s.parse(words[1:])
		s.effects(s.take(s.state.Applied(s.now, Applied{Set: s.set, Begun: s.state.Owned(), Written: s.written})))
		s.written = nil
	case "lost": // it does not
		s.effects(s.take(s.state.Applied(s.now, Applied{Begun: s.state.Owned()})))
		s.written = nil
	case "records":
		s.records()
	case "close":
		s.effects(s.state.Close(s.now))
	default:
		s.t.Fatalf("there is no command %s", words[0])
	}
}

func (s *script) edit(manager string, id object.ID, pointer, value string) {
	s.objects[id] = s.update(id, manager, func(content map[string]any) { set(s.t, content, pointer, value) })
	s.effects(s.see(id))
}

// set writes a value, or "-" to remove it, at a pointer; "+" at the end of a list.
func set(t testing.TB, content map[string]any, pointer, value string) {
	t.Helper()
	var v any
	if value != "-" {
		if err := utiljson.Unmarshal([]byte(value), &v); err != nil {
			t.Fatalf("%s: %v", value, err)
		}
	}
	tokens := strings.Split(pointer, "/")[1:]
	for i, token := range tokens {
		tokens[i] = strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
	}
	putAt(t, content, tokens, value == "-", v)
}

func putAt(t testing.TB, in any, tokens []string, remove bool, v any) any {
	t.Helper()
	if len(tokens) == 0 {
		return v
	}
	last := len(tokens) == 1
	switch at := in.(type) {
	case nil:
		return putAt(t, map[string]any{}, tokens, remove, v)
	case map[string]any:
		if last && remove {
			delete(at, tokens[0])
			return at
		}
		at[tokens[0]] = putAt(t, at[tokens[0]], tokens[1:], remove, v)
		return at
	case []any:
		if tokens[0] == "+" {
			return append(at, v)
		}
		i, err := strconv.Atoi(tokens[0])
		if err != nil {
			t.Fatal(err)
		}
		if last && remove {
			return append(at[:i:i], at[i+1:]...)
		}
		at[i] = putAt(t, at[i], tokens[1:], remove, v)
		return at
	}
	t.Fatalf("nothing to put %v into", v)
	return nil
}

func (s *script) id(text string) object.ID {
	kind, name, _ := strings.Cut(text, "/")
	groups := map[string]string{"HTTPRoute": "gateway.networking.k8s.io", "Thing": "example.com"}
	return object.ID{Group: groups[kind], Kind: kind, Namespace: "team-a", Name: name}
}

func (s *script) parse(names []string) *object.Set {
	s.t.Helper()
	var all []*object.Object
	for _, name := range names {
		all = append(all, parseFile(s.t, name, s.files[name])...)
	}
	out, errs := object.NewSet(all)
	if len(errs) > 0 {
		s.t.Fatal(errs)
	}
	return out
}

func parseFile(t testing.TB, name, text string) []*object.Object {
	t.Helper()
	docs, errs := schema.Documents(name, []byte(text), schema.Limits{})
	if len(errs) > 0 || len(docs) == 0 {
		t.Fatalf("%s: %v", name, errs)
	}
	var out []*object.Object
	for _, d := range docs {
		o, err := object.FromDocument(d.Root)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, o)
	}
	return out
}

func decodeInto(t testing.TB, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

func (s *script) effects(e Effects) {
	for _, id := range e.Try {
		s.say("try %s", id)
	}
	for _, id := range e.Look {
		s.say("look at %s", id)
	}
	for _, c := range e.Correct {
		leave := ""
		if len(c.Leave) > 0 {
			leave = ", leave " + strings.Join(c.Leave, ", ")
		}
		s.say("correct %s%s", c.Object.ID, leave)
	}
	for _, n := range e.Alerts {
		s.say("[%s] %s", n.Severity, n.Headline())
		for _, line := range n.Lines() {
			s.say("  %s", line)
		}
	}
	for _, err := range e.Errors {
		s.say("error: %v", err)
	}
}

func (s *script) records() {
	for _, r := range s.state.Snapshot().Records {
		state := "open since " + r.Opened.Format("15:04:05")
		if !r.Open() {
			state = fmt.Sprintf("%s at %s after %s", r.Reason, r.Resolved.Format("15:04:05"), short(r.Duration(s.now)))
		}
		extra := ""
		if r.Edits > 1 {
			extra = fmt.Sprintf(", %d edits", r.Edits)
		}
		if r.Corrections > 0 {
			extra += fmt.Sprintf(", put back %d times", r.Corrections)
		}
		s.say("%s %s %s: %s%s", r.Do, r.Object, r.Text(), state, extra)
	}
}
