package git

import (
	"context"
	"path/filepath"
	"testing"
)

func TestDescends(t *testing.T) {
	dir, url, s := published(t)
	first := run(t, dir, "rev-parse", "HEAD")
	run(t, dir, "switch", "-q", "-c", "feature")
	feature := commit(t, dir, "f.yaml", "f: 1\n")
	run(t, dir, "switch", "-q", "main")
	for range 3 {
		commit(t, dir, "a.yaml", "a: "+run(t, dir, "rev-parse", "HEAD")+"\n")
	}
	run(t, dir, "merge", "-q", "--no-edit", "feature")
	push(t, dir)
	merged := run(t, dir, "rev-parse", "HEAD")
	for _, filter := range []string{"true", "false"} {
		run(t, filepath.Join(s.root, "repo.git"), "config", "uploadpack.allowFilter", filter)
		for _, source := range []string{url, dir} {
			r := open(t, Source{URL: source})
			head := resolve(t, r)
			for _, test := range []struct {
				ancestor string
				want     bool
			}{{first, true}, {feature, true}, {merged, true}, {"1234567890123456789012345678901234567890", false}} {
				got, err := r.Descends(context.Background(), head, test.ancestor)
				if err != nil || got != test.want {
					t.Errorf("%s, filter %s: %s: got %t, %v", source, filter, test.ancestor, got, err)
				}
			}
		}
	}
	// A forced push to an older commit, and to a rewritten one.
	r := open(t, Source{URL: url})
	before := resolve(t, r)
	for _, to := range []string{first, feature} {
		run(t, dir, "push", "-q", "--force", "origin", to+":main")
		after := resolve(t, r)
		if got, err := r.Descends(context.Background(), after, before.Hash); got || err != nil {
			t.Errorf("%s comes after %s: %v", to, before.Hash, err)
		}
	}
}
