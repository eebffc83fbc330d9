package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"headgate.dev/agent/git"
	"headgate.dev/render"
	"headgate.dev/schema"
)

// tree is a git.Tree over files in memory.
type tree struct{ fstest.MapFS }

// Digest lets the renderer find out by reading.
func (t tree) Digest(name string) (string, error) {
	content := ""
	err := fs.WalkDir(t.MapFS, name, func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			content += p + "\x00" + string(t.MapFS[p].Data) + "\x00"
		}
		return err
	})
	return content, err
}

// world is what a Loop has outside: a source whose head is set, a target that holds what it was given, and proxies.
type world struct {
	commit  *git.Commit
	err     error // of the source
	refuse  error // of the target
	held    []string
	applied int
	live    Live
	hung    bool // the proxies do not answer
}

func (w *world) Resolve(context.Context) (*git.Commit, error) { return w.commit, w.err }

func (w *world) Apply(_ context.Context, c Change) error {
	w.applied++
	if w.refuse != nil {
		return w.refuse
	}
	for _, id := range c.Removed {
		w.held = slices.DeleteFunc(w.held, func(h string) bool { return h == id.Name })
	}
	for _, o := range c.Put {
		if !slices.Contains(w.held, o.ID.Name) {
			w.held = append(w.held, o.ID.Name)
		}
	}
	slices.Sort(w.held)
	return nil
}

func (w *world) Wait(ctx context.Context) (Live, error) {
	if w.hung {
		<-ctx.Done()
	}
	return w.live, ctx.Err()
}

// head makes a commit of services by name; a name with "!" is a broken spec.
func head(revision string, services ...string) *git.Commit {
	files := fstest.MapFS{"README.md": &fstest.MapFile{}}
	for _, s := range services {
		text := fmt.Sprintf("apiVersion: headgate.dev/v1alpha1\nkind: ServiceSpec\nmetadata: {name: %s}\nspec: {port: 80}\n", s)
		if broken, ok := strings.CutSuffix(s, "!"); ok {
			s, text = broken, "kind: ServiceSpec\n"
		}
		files[s+".yaml"] = &fstest.MapFile{Data: []byte(text)}
	}
	return &git.Commit{Revision: revision, Tree: tree{files}}
}

// newLoop makes a loop over w and a function that runs it once and says what it reported.
func newLoop(w *world) (*Loop, func(t *testing.T) []Outcome) {
	var reported []Outcome
	l := &Loop{
		Source: w, Target: w, Liveness: w, Dir: ".",
		Options: render.Options{Gateway: "default/local", Namespace: "default"},
		Report:  func(o Outcome) { reported = append(reported, o) },
	}
	return l, func(t *testing.T) []Outcome {
		t.Helper()
		reported = nil
		l.Once(t.Context())
		return reported
	}
}

func TestLoopAppliesTheDifference(t *testing.T) {
	w := &world{commit: head("1", "a", "b"), live: Live{Envoys: Envoys{1, 1}}}
	_, once := newLoop(w)
	if got := once(t); len(got) != 1 || got[0].Err != nil || got[0].Kept != nil || len(got[0].Change.Put) != 2 {
		t.Fatalf("first: %+v", got)
	}
	if got := once(t); got != nil || w.applied != 1 {
		t.Errorf("the same head again: reported %+v, applied %d times", got, w.applied)
	}
	w.commit = head("2", "b", "c")
	got := once(t)
	if len(got) != 1 || len(got[0].Change.Put) != 1 || len(got[0].Change.Removed) != 1 || got[0].Kept.Revision != "1" {
		t.Errorf("second: %+v", got)
	}
	if !slices.Equal(w.held, []string{"b", "c"}) {
		t.Errorf("held: %v", w.held)
	}
}

func TestLoopKeepsTheLastGood(t *testing.T) {
	w := &world{commit: head("1", "a"), live: Live{Envoys: Envoys{1, 1}}}
	_, once := newLoop(w)
	once(t)
	for _, c := range []struct {
		name  string
		spoil func()
		check func(error) bool
	}{
		{"wrong input", func() { w.commit = head("2", "a!") }, func(err error) bool { return errors.As(err, new(schema.Errors)) }},
		{"nothing left", func() { w.commit = head("3") }, func(err error) bool { return errors.Is(err, ErrEmpty) }},
		{"no source", func() { w.err = errors.New("gone") }, func(err error) bool { return err.Error() == "gone" }},
		{"target refuses", func() { w.commit, w.refuse = head("4", "b"), errors.New("no") }, func(err error) bool { return err.Error() == "no" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.spoil()
			got := once(t)
			if len(got) != 1 || got[0].Err == nil || !c.check(got[0].Err) || got[0].Kept == nil || got[0].Kept.Revision != "1" {
				t.Errorf("got %+v", got)
			}
			if again := once(t); again != nil {
				t.Errorf("said twice: %+v", again)
			}
			if !slices.Equal(w.held, []string{"a"}) {
				t.Errorf("held: %v", w.held)
			}
			w.err, w.refuse = nil, nil
		})
	}
	w.commit = head("5", "b")
	if got := once(t); len(got) != 1 || got[0].Err != nil || !slices.Equal(w.held, []string{"b"}) {
		t.Errorf("mended: %+v, held %v", got, w.held)
	}
}

func TestLoopAllowEmpty(t *testing.T) {
	w := &world{commit: head("1", "a"), live: Live{Envoys: Envoys{1, 1}}}
	l, once := newLoop(w)
	l.AllowEmpty = true
	once(t)
	w.commit = head("2")
	if got := once(t); len(got) != 1 || got[0].Err != nil || len(w.held) != 0 {
		t.Errorf("got %+v, held %v", got, w.held)
	}
}

func TestLoopNotLiveInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{commit: head("1", "a"), live: Live{Envoys: Envoys{0, 1}}, hung: true}
		_, once := newLoop(w)
		start := time.Now()
		got := once(t)
		if len(got) != 1 || !errors.Is(got[0].Err, ErrNotLive) || !strings.Contains(got[0].Err.Error(), "0 of 1") || time.Since(start) != 30*time.Second {
			t.Errorf("after %v: %+v", time.Since(start), got)
		}
	})
}

// TestLoopRefusedByEnvoy: what a proxy refuses is not live, is said once, and with the next commit again if it still is so.
func TestLoopRefusedByEnvoy(t *testing.T) {
	refusal := schema.Errors{{Message: "Envoy refuses LDS"}}
	w := &world{commit: head("1", "a"), live: Live{Envoys: Envoys{0, 1}, Refused: refusal}}
	_, once := newLoop(w)
	if got := once(t); len(got) != 1 || !errors.Is(got[0].Err, ErrRefused) || !got[0].Applied() || len(got[0].Live.Refused) != 1 {
		t.Fatalf("got %+v", got)
	}
	if got := once(t); got != nil {
		t.Errorf("said twice: %+v", got)
	}
	w.live = Live{Envoys: Envoys{1, 1}}
	if got := once(t); len(got) != 1 || got[0].Err != nil {
		t.Errorf("mended: %+v", got)
	}
}

// TestLoopDoesNotWaitBehindAHungEnvoy: a commit is brought while the one before is not acknowledged yet.
func TestLoopDoesNotWaitBehindAHungEnvoy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{hung: true}
		l, _ := newLoop(w)
		commits, hints := make(queue), make(chan struct{})
		outcomes := make(chan Outcome, 8)
		l.Source, l.Hints, l.Report = commits, hints, func(o Outcome) { outcomes <- o }
		done := make(chan struct{})
		go func() { l.Run(t.Context()); close(done) }()
		commits <- head("1", "a")
		hints <- struct{}{}
		commits <- head("2", "a", "b")
		synctest.Wait()
		if !slices.Equal(w.held, []string{"a", "b"}) || len(outcomes) != 0 {
			t.Errorf("held %v, reported %d", w.held, len(outcomes))
		}
		if o := <-outcomes; o.Commit.Revision != "2" || !errors.Is(o.Err, ErrNotLive) {
			t.Errorf("reported %+v", o)
		}
		close(hints)
		<-done
	})
}

// TestLoopTriesAgain: an error of the target that is not the input's may have gone a little later.
func TestLoopTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{commit: head("1", "a"), refuse: errors.New("port in use"), live: Live{Envoys: Envoys{1, 1}}}
		l, _ := newLoop(w)
		hints, outcomes := make(chan struct{}), make(chan Outcome, 8)
		l.Hints, l.Report = hints, func(o Outcome) {
			if o.Err != nil {
				w.refuse = nil // it goes while nobody tells
			}
			outcomes <- o
		}
		start := time.Now()
		done := make(chan struct{})
		go func() { l.Run(t.Context()); close(done) }()
		if o := <-outcomes; o.Applied() {
			t.Errorf("first %+v", o)
		}
		if o := <-outcomes; o.Err != nil || time.Since(start) != 5*time.Second {
			t.Errorf("after %v: %+v", time.Since(start), o)
		}
		close(hints)
		<-done
	})
}

// queue is a source that gives one commit for each time it is asked.
type queue chan *git.Commit

func (q queue) Resolve(context.Context) (*git.Commit, error) { return <-q, nil }

// TestLoopRun follows hints until there are no more, and until its context ends.
func TestLoopRun(t *testing.T) {
	l, _ := newLoop(&world{live: Live{Envoys: Envoys{1, 1}}})
	commits, hints := make(queue), make(chan struct{})
	l.Source, l.Hints = commits, hints
	outcomes := make(chan string, 8)
	l.Report = func(o Outcome) { outcomes <- o.Commit.Revision }
	done := make(chan struct{})
	go func() { l.Run(t.Context()); close(done) }()
	same := head("1", "a")
	for _, c := range []struct {
		commit *git.Commit
		want   string
	}{{same, "1"}, {same, ""}, {head("2", "b"), "2"}} {
		commits <- c.commit
		if c.want != "" {
			if got := <-outcomes; got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		}
		if c.want != "2" {
			hints <- struct{}{}
		}
	}
	close(hints)
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("the loop goes on without hints")
	}
}

// TestLoopHintsAllTheTime: a source that has something to say without end does not keep a commit from being reported.
func TestLoopHintsAllTheTime(t *testing.T) {
	l, _ := newLoop(&world{commit: head("1", "a"), live: Live{Envoys: Envoys{1, 1}}})
	hints, outcomes := make(chan struct{}, 1), make(chan Outcome, 8)
	l.Hints, l.Report = hints, func(o Outcome) { outcomes <- o }
	done := make(chan struct{})
	go func() { l.Run(t.Context()); close(done) }()
	for told := false; !told; {
		select {
		case hints <- struct{}{}:
		case o := <-outcomes:
			told = o.Err == nil
		}
	}
	close(hints)
	<-done
}

// TestLoopTellsRecovery: an error that was reported is followed by the news that it is over.
func TestLoopTellsRecovery(t *testing.T) {
	good := head("1", "a")
	w := &world{commit: good, live: Live{Envoys: Envoys{1, 1}}}
	_, once := newLoop(w)
	once(t)
	for _, spoil := range []func(){func() { w.err = errors.New("gone") }, func() { w.commit = head("2", "a!") }} {
		spoil()
		once(t)
		w.err, w.commit = nil, good
		got := once(t)
		if len(got) != 1 || got[0].Err != nil || got[0].Commit != good || got[0].Kept != good || got[0].Change.Set.Len() != 1 || len(got[0].Change.Put) != 0 {
			t.Errorf("got %+v", got)
		}
		if again := once(t); again != nil || w.applied != 1 {
			t.Errorf("said twice: %+v; applied %d times", again, w.applied)
		}
	}
}

// slow is a Liveness that answers when it is told to.
type slow struct{ acked chan Live }

func (s *slow) Wait(ctx context.Context) (Live, error) {
	select {
	case live := <-s.acked:
		return live, nil
	case <-ctx.Done():
		return Live{}, ctx.Err()
	}
}

// TestLoopTellsLateLife: a commit that was not live in time is reported when it is, without a hint.
func TestLoopTellsLateLife(t *testing.T) {
	synctest.Test(t, tellsLateLife)
}

func tellsLateLife(t *testing.T) {
	l, _ := newLoop(&world{commit: head("1", "a"), live: Live{Envoys: Envoys{1, 1}}})
	proxies := &slow{acked: make(chan Live)}
	hints, outcomes := make(chan struct{}), make(chan Outcome, 8)
	l.Liveness, l.Hints, l.Report = proxies, hints, func(o Outcome) { outcomes <- o }
	done := make(chan struct{})
	go func() { l.Run(t.Context()); close(done) }()
	if o := <-outcomes; !errors.Is(o.Err, ErrNotLive) || !strings.Contains(o.Err.Error(), "none is connected") {
		t.Errorf("first: %+v", o)
	}
	proxies.acked <- Live{Envoys: Envoys{1, 1}}
	if o := <-outcomes; o.Err != nil || o.Kept != nil || len(o.Change.Put) != 1 || o.Live.Envoys.Acked != 1 {
		t.Errorf("then: %+v", o)
	}
	close(hints)
	<-done
	if len(outcomes) > 0 {
		t.Errorf("and: %+v", <-outcomes)
	}
}
