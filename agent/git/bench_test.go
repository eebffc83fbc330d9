package git

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// manyDirectories makes a repository of n directories with one file each, packed.
func manyDirectories(b *testing.B, n int) string {
	b.Helper()
	dir := newRepo(b)
	for i := range n {
		write(b, dir, service(i), fmt.Sprintf("apiVersion: headgate.dev/v1alpha1\nkind: ServiceSpec\nmetadata: {name: s%d}\n", i))
	}
	commit(b, dir, "b.yaml", "b: 1\n")
	run(b, dir, "gc", "-q", "--prune=now")
	return dir
}

func service(i int) string { return fmt.Sprintf("service-%04d/service.yaml", i) }

// digests asks for the digest of every directory, as a renderer does, and reads the one that changed.
func digests(b *testing.B, c *Commit, changed string) {
	entries, err := c.Tree.ReadDir(".")
	if err != nil {
		b.Fatal(err)
	}
	for _, e := range entries {
		if _, err := c.Tree.Digest(e.Name()); err != nil {
			b.Fatal(err)
		}
	}
	if _, err := c.Tree.ReadFile(changed); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkOpen5000(b *testing.B) {
	dir := manyDirectories(b, 5000)
	b.ResetTimer()
	for range b.N {
		r, err := Open(Source{URL: dir}, Options{})
		if err != nil {
			b.Fatal(err)
		}
		resolve(b, r)
		_ = r.Close()
	}
}

func BenchmarkReadAll5000(b *testing.B) {
	dir := manyDirectories(b, 5000)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		r, err := Open(Source{URL: dir}, Options{})
		if err != nil {
			b.Fatal(err)
		}
		c := resolve(b, r)
		for i := range 5000 {
			if _, err := c.Tree.ReadFile(service(i)); err != nil {
				b.Fatal(err)
			}
		}
		_ = r.Close()
	}
}

// A commit of one file: from the moved reference to its bytes.
func benchmarkCommit(b *testing.B, n int) {
	dir := manyDirectories(b, n)
	r := open(b, Source{URL: dir})
	digests(b, resolve(b, r), service(1))
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		b.StopTimer()
		commit(b, dir, service(i%n), fmt.Sprint(i))
		b.StartTimer()
		digests(b, resolve(b, r), service(i%n))
	}
}

func BenchmarkCommit100(b *testing.B)  { benchmarkCommit(b, 100) }
func BenchmarkCommit5000(b *testing.B) { benchmarkCommit(b, 5000) }

// From the end of "git update-ref" to the hint; less than that, as the reference moves before git ends.
func BenchmarkHint(b *testing.B) {
	dir := newRepo(b)
	first := run(b, dir, "rev-parse", "HEAD")
	second := commit(b, dir, "a.yaml", "a: 2\n")
	r := open(b, Source{URL: dir})
	hints, err := r.Watch(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	var total time.Duration
	for i := range b.N {
		want := []string{first, second}[i%2]
		run(b, dir, "update-ref", "refs/heads/main", want)
		start := time.Now()
		for {
			<-hints
			if c, err := r.Resolve(context.Background()); err == nil && c.Hash == want {
				break
			}
		}
		total += time.Since(start)
	}
	b.ReportMetric(float64(total.Microseconds())/float64(b.N), "µs/hint")
}

func BenchmarkWorktree5000(b *testing.B) {
	dir := manyDirectories(b, 5000)
	w := openWorktree(b, dir, Limits{})
	hints, err := w.Watch(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	resolveSaved(b, w)
	b.ResetTimer()
	for i := range b.N {
		write(b, dir, service(i%5000), fmt.Sprint("x", i))
		<-hints
		c := resolveSaved(b, w)
		if _, err := c.Tree.Digest(service(i % 5000)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFetchCommit1000(b *testing.B) {
	dir, url, _ := published(b)
	for i := range 1000 {
		write(b, dir, service(i), fmt.Sprint(i))
	}
	commit(b, dir, "b.yaml", "b: 1\n")
	push(b, dir)
	r := open(b, Source{URL: url})
	digests(b, resolve(b, r), service(1))
	b.ResetTimer()
	for i := range b.N {
		b.StopTimer()
		commit(b, dir, service(i%1000), fmt.Sprint("x", i))
		run(b, dir, "push", "-q", "origin", "main")
		b.StartTimer()
		digests(b, resolve(b, r), service(i%1000))
	}
}

// A poll that finds nothing new.
func BenchmarkFetchUnchanged(b *testing.B) {
	_, url, _ := published(b)
	r := open(b, Source{URL: url})
	resolve(b, r)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		resolve(b, r)
	}
}
