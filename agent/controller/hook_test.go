package controller

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"headgate.dev/agent/forge"
	"headgate.dev/schema"
)

func TestHookOf(t *testing.T) {
	s := &schema.Sync{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "cart"}, Spec: schema.SyncSpec{Forge: &schema.SyncForge{Kind: "gitea"}}}
	const token = "canary-0123456789"
	h, message := hookOf(s, map[string][]byte{"token": []byte(token + "\n")})
	if message != "" || h.Name != "shop/cart" || h.Kind != forge.Gitea || h.Secrets[0] != token || len(h.Path) != 64 || strings.Contains(h.Path, "canary") {
		t.Errorf("%+v %s", h, message)
	}
	other := s.DeepCopy()
	other.Name = "blog"
	if o, _ := hookOf(other, map[string][]byte{"token": []byte(token)}); o.Path == h.Path {
		t.Error("two Syncs have one path")
	}
	for want, data := range map[string]map[string][]byte{"no token": nil, "less than 16": {"token": []byte("canary")}} {
		if _, message := hookOf(s, data); !strings.Contains(message, want) || strings.Contains(message, "canary") {
			t.Errorf("%q, want %q", message, want)
		}
	}
}

func TestHeard(t *testing.T) {
	const url = "https://git.example.com/team/shop.git"
	a, b := strings.Repeat("a", 40), strings.Repeat("b", 40)
	push := func(refs ...forge.RefHint) forge.Hint { return forge.Hint{Repository: []string{url}, Refs: refs} }
	main, tag := forge.RefHint{Ref: "refs/heads/main", Commit: a}, forge.RefHint{Ref: "refs/tags/v1.0.0", Commit: b}
	for name, c := range map[string]struct {
		spec schema.SyncSpec
		hint forge.Hint
		want rumour
	}{
		"its branch":            {schema.SyncSpec{Ref: &schema.SyncRef{Branch: "main"}}, push(tag, main), rumour{true, a}},
		"another branch":        {schema.SyncSpec{Ref: &schema.SyncRef{Branch: "prod"}}, push(main), rumour{}},
		"a branch deleted":      {schema.SyncSpec{Ref: &schema.SyncRef{Branch: "main"}}, push(forge.RefHint{Ref: "refs/heads/main"}), rumour{true, ""}},
		"the default branch":    {schema.SyncSpec{}, push(main), rumour{true, ""}},
		"a tag for the default": {schema.SyncSpec{}, push(tag), rumour{}},
		"a tag":                 {schema.SyncSpec{Ref: &schema.SyncRef{Tag: "v1.0.0"}}, push(tag), rumour{true, ""}},
		"a version":             {schema.SyncSpec{Ref: &schema.SyncRef{SemVer: ">=1"}}, push(tag), rumour{true, ""}},
		"a branch for versions": {schema.SyncSpec{Ref: &schema.SyncRef{SemVer: ">=1"}}, push(main), rumour{}},
		"a name":                {schema.SyncSpec{Ref: &schema.SyncRef{Name: "refs/heads/main"}}, push(main), rumour{true, a}},
		"a commit":              {schema.SyncSpec{Ref: &schema.SyncRef{Commit: a}}, push(main), rumour{}},
		"pinned":                {schema.SyncSpec{Pin: a}, push(main), rumour{}},
		"suspended":             {schema.SyncSpec{Suspend: true}, push(main), rumour{}},
		"too much to list":      {schema.SyncSpec{Ref: &schema.SyncRef{Branch: "prod"}}, forge.Hint{Repository: []string{url}, More: true}, rumour{true, ""}},
		"a ping":                {schema.SyncSpec{}, forge.Hint{Repository: []string{url}, Ping: true}, rumour{}},
		"no repository":         {schema.SyncSpec{}, forge.Hint{Refs: []forge.RefHint{main}}, rumour{true, ""}},
		"another repository":    {schema.SyncSpec{}, forge.Hint{Repository: []string{"https://git.example.com/team/blog"}, Refs: []forge.RefHint{main}}, rumour{}},
		"another name of it":    {schema.SyncSpec{}, forge.Hint{Repository: []string{"https://outside.example.com/gitea/team/shop"}, Refs: []forge.RefHint{main}}, rumour{true, ""}},
		"over ssh":              {schema.SyncSpec{}, forge.Hint{Repository: []string{"git@git.example.com:team/shop.git"}, Refs: []forge.RefHint{main}}, rumour{true, ""}},
		"an end of its name":    {schema.SyncSpec{}, forge.Hint{Repository: []string{"https://git.example.com/shop"}, Refs: []forge.RefHint{main}}, rumour{true, ""}},
		"half of its name":      {schema.SyncSpec{}, forge.Hint{Repository: []string{"https://git.example.com/hop"}, Refs: []forge.RefHint{main}}, rumour{}},
	} {
		c.spec.URL = url
		if got := heard(&schema.Sync{Spec: c.spec}, c.hint); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestPushedAt(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, c := range []struct {
		before time.Duration
		want   bool
	}{{500 * time.Millisecond, true}, {0, true}, {-time.Second, false}, {2 * time.Hour, false}} {
		if got := pushedAt(forge.Hint{First: now, Pushed: now.Add(-c.before)}); got.IsZero() == c.want {
			t.Errorf("%s before: %s", c.before, got)
		}
	}
	if got := pushedAt(forge.Hint{First: now}); !got.IsZero() {
		t.Errorf("nothing said: %s", got)
	}
}
