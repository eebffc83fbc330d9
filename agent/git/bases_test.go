package git

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"net/http"
	"path/filepath"
	"testing"
)

// TestMergeBases finds the merge bases that git finds, with a server that leaves files out and with one that does not.
func TestMergeBases(t *testing.T) {
	dir, url, s := published(t)
	run(t, filepath.Join(s.root, "repo.git"), "config", "uploadpack.allowAnySHA1InWant", "true")
	ahead := func(branch, from string, merges ...string) {
		run(t, dir, "switch", "-q", "-c", branch, from)
		for _, m := range merges {
			commit(t, dir, branch+"-"+m+".yaml", "a: 1\n")
			run(t, dir, "merge", "-q", "--no-edit", m)
		}
	}
	first := run(t, dir, "rev-parse", "HEAD")
	run(t, dir, "branch", "m1")
	commit(t, dir, "b.yaml", "b: 1\n")
	run(t, dir, "branch", "m2")
	commit(t, dir, "c.yaml", "c: 1\n")
	run(t, dir, "branch", "m3")
	ahead("one", "m1")
	commit(t, dir, "one.yaml", "a: 1\n")
	ahead("followed", "m1", "m2", "m3")
	commit(t, dir, "followed.yaml", "a: 1\n")
	ahead("crossed", "m2", "one", "m3")
	run(t, dir, "switch", "-q", "main")
	for range 3 {
		commit(t, dir, "d.yaml", "d: "+run(t, dir, "rev-parse", "HEAD")+"\n")
	}
	run(t, dir, "branch", "same")
	run(t, dir, "switch", "-q", "--orphan", "lonely")
	commit(t, dir, "lonely.yaml", "a: 1\n")
	run(t, dir, "switch", "-q", "main")
	run(t, dir, "push", "-q", "origin", "--all")
	main := run(t, dir, "rev-parse", "main")

	r := open(t, Source{URL: url})
	for _, filter := range []string{"true", "false"} {
		run(t, filepath.Join(s.root, "repo.git"), "config", "uploadpack.allowFilter", filter)
		heads, err := r.Heads(t.Context())
		if err != nil || len(heads) != 9 || heads["main"] != main || heads["m1"] != first {
			t.Fatalf("the branches are %v, %v", heads, err)
		}
		var all []string
		want := map[string]string{}
		for branch, head := range heads {
			all = append(all, head)
			if branch != "lonely" {
				want[head] = run(t, dir, "merge-base", "main", head)
			}
		}
		got, err := r.MergeBases(t.Context(), main, all)
		if err != nil || !maps.Equal(got, want) {
			t.Errorf("filter %s: got %v, %v; want %v", filter, got, err, want)
		}
	}
	if _, err := r.MergeBases(t.Context(), main, []string{first[:39] + "0"}); err == nil {
		t.Error("there is a merge base of a commit that there is not")
	}
	var unsupported *UnsupportedError
	if _, err := open(t, Source{URL: dir}).Heads(t.Context()); !errors.As(err, &unsupported) {
		t.Errorf("of a local repository: %v", err)
	}
}

// TestHeadsAreWhole: an answer that breaks off anywhere is an error, never a shorter list.
func TestHeadsAreWhole(t *testing.T) {
	dir, url, s := published(t)
	for _, branch := range []string{"a", "b", "c"} {
		run(t, dir, "branch", branch)
	}
	run(t, dir, "push", "-q", "origin", "--all")
	res, err := http.Get(url + "/info/refs?service=git-upload-pack")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var whole bytes.Buffer
	if _, err := whole.ReadFrom(res.Body); err != nil {
		t.Fatal(err)
	}
	r := open(t, Source{URL: url})
	for n := range whole.Len() + 1 {
		s.handle(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", res.Header.Get("Content-Type"))
			_, _ = w.Write(whole.Bytes()[:n])
		})
		heads, err := r.Heads(context.Background())
		if whole := n == whole.Len(); (err == nil) != whole || whole && len(heads) != 4 {
			t.Fatalf("after %d of %d bytes: %v, %v", n, res.ContentLength, heads, err)
		}
	}
	for _, status := range []int{401, 403, 404, 429, 500} {
		s.handle(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		if heads, err := r.Heads(t.Context()); err == nil {
			t.Errorf("%d: %v", status, heads)
		}
	}
}
