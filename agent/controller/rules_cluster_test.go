//go:build cluster

package controller

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"headgate.dev/schema"
)

// sign commits with options of git, those of a key.
func (r *repository) sign(options []string, message, file, content string) string {
	r.w.Helper()
	r.w.must(os.WriteFile(filepath.Join(r.dir, file), []byte(content), 0o600))
	r.git("add", "-A")
	r.git(append(options, "commit", "-q", "-S", "-m", message)...)
	return r.git("rev-parse", "HEAD")
}

// sshKey makes a key, and gives what git needs to sign with it.
func (w *world) sshKey() (options []string, public string) {
	w.Helper()
	key := filepath.Join(w.TempDir(), "key")
	w.must(exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key).Run())
	text, err := os.ReadFile(key + ".pub")
	w.must(err)
	return []string{"-c", "gpg.format=ssh", "-c", "user.signingKey=" + key}, string(text)
}

// pgpKey likewise.
func (w *world) pgpKey() (options []string, public string) {
	w.Helper()
	home, err := os.MkdirTemp("", "gpg") // a short path: the agent's socket lies in it
	w.must(err)
	w.Cleanup(func() {
		_ = exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run()
		_ = os.RemoveAll(home)
	})
	gpg := func(args ...string) string {
		out, err := exec.Command("gpg", append([]string{"--batch", "--quiet", "--homedir", home, "--pinentry-mode", "loopback", "--passphrase", ""}, args...)...).Output()
		w.must(err)
		return string(out)
	}
	gpg("--quick-gen-key", "Ada <ada@example.com>", "ed25519", "sign", "never")
	script := filepath.Join(home, "sign")
	w.must(os.WriteFile(script, []byte("#!/bin/sh\nexec gpg --homedir "+home+" --batch \"$@\"\n"), 0o700))
	return []string{"-c", "gpg.program=" + script, "-c", "user.signingKey=ada@example.com"}, gpg("--armor", "--export", "ada@example.com")
}

// TestClusterSyncRules holds what a Sync says about commits and objects, with the rights of an installation: signatures, fields left to others, fields that
// cannot be changed, order without end, and what the API server takes for a Sync.
func TestClusterSyncRules(t *testing.T) {
	w := newWorld(t, "headgate-sync-rules")
	w.asInstalled()
	w.start(Options{})
	t.Run("signatures", func(t *testing.T) { w.T = t; w.signatures() })
	t.Run("ignore", func(t *testing.T) { w.T = t; w.ignored() })
	t.Run("force", func(t *testing.T) { w.T = t; w.forced() })
	t.Run("cycle", func(t *testing.T) { w.T = t; w.cycle() })
	t.Run("validation", func(t *testing.T) { w.T = t; w.validation() })
	w.T = t
	w.secrets("canary-")
}

func (w *world) signatures() {
	repo := w.repository()
	ssh, sshPublic := w.sshKey()
	pgp, pgpPublic := w.pgpKey()
	stranger, _ := w.sshKey()
	w.must(w.Create(w.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "maintainers"},
		StringData: map[string]string{"grace": sshPublic, "ada": pgpPublic}}))
	first := repo.sign(ssh, "By SSH", "signed.yaml", configMap("signed", "one"))
	s := repo.sync("signed", func(spec *schema.SyncSpec) {
		spec.Verify = &schema.SyncVerify{SecretRef: schema.SyncSecret{Name: "maintainers"}}
	})
	w.ready(s, first)
	second := repo.sign(pgp, "By PGP", "signed.yaml", configMap("signed", "two"))
	w.ready(s, second)
	w.has("signed", "two")
	for _, commit := range []func() string{
		func() string { return repo.commit("By nobody", "signed.yaml", configMap("signed", "three")) },
		func() string { return repo.sign(stranger, "By a stranger", "signed.yaml", configMap("signed", "four")) },
	} {
		refused := commit()
		now := w.condition(s, schema.SyncReady, metav1.ConditionFalse, "NotVerified", refused)
		w.contains("a commit that nobody signed who counts", meta.FindStatusCondition(now.Status.Conditions, schema.SyncReady).Message,
			"main@"+refused[:7], "main@"+second[:7]+" stays applied")
		if now.Status.Revision != "main@sha1:"+second {
			w.Errorf("%s is applied", now.Status.Revision)
		}
	}
	w.has("signed", "two")
}

// ignored: a field that is left to others gets Git's value once, and then keeps what they write.
func (w *world) ignored() {
	repo := w.repository()
	file := func(a, b string) string {
		return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: left}\ndata: {a: " + a + ", b: " + b + "}\n"
	}
	first := repo.commit("Begin", "a.yaml", file("one", "one"))
	s := repo.sync("left", func(spec *schema.SyncSpec) {
		spec.Ignore = []schema.SyncIgnore{{Target: schema.SyncSelector{Kind: "ConfigMap"}, Fields: []string{"/data/a"}}}
	})
	w.ready(s, first)
	w.has("left", "one")
	other := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "left"}}
	w.must(w.Patch(w.Context(), other, client.RawPatch("application/merge-patch+json", []byte(`{"data":{"a":"theirs"}}`)), client.FieldOwner("scaler")))
	second := repo.commit("Change both", "a.yaml", file("two", "more"))
	w.ready(s, second)
	w.has("left", "theirs")
	w.must(w.Get(w.Context(), client.ObjectKeyFromObject(other), other))
	if other.Data["b"] != "more" {
		w.Errorf("what is not left to others: %v", other.Data)
	}
}

// forced: a change to what cannot be changed fails, with file and line, and makes the object anew where the Sync says so.
func (w *world) forced() {
	repo := w.repository()
	fixed := func(value string) string { return configMap("fixed", value) + "immutable: true\n" }
	first := repo.commit("Begin", "a.yaml", fixed("one"))
	s := repo.sync("fixed", nil)
	w.ready(s, first)
	second := repo.commit("Change", "a.yaml", fixed("two"))
	w.contains("a field that cannot be changed", w.message(s, "ApplyFailed"), "a.yaml:", "ConfigMap "+w.namespace+"/fixed", "main@"+first[:7]+" stays applied")
	w.has("fixed", "one")
	w.change(s, func(s *schema.Sync) { s.Spec.Force = true })
	w.ready(s, second)
	w.has("fixed", "two")
}

// cycle: Syncs that wait for each other are told so, and go on when one of them lets go.
func (w *world) cycle() {
	repo := w.repository()
	commit := repo.commit("Begin", "x/a.yaml", configMap("x", "one"), "y/a.yaml", configMap("y", "one"))
	x := repo.sync("x", func(spec *schema.SyncSpec) { spec.Path, spec.DependsOn = "x", []schema.SyncReference{{Name: "y"}} })
	y := repo.sync("y", func(spec *schema.SyncSpec) { spec.Path, spec.DependsOn = "y", []schema.SyncReference{{Name: "x"}} })
	for _, s := range []*schema.Sync{x, y} {
		w.contains("a cycle", w.message(s, "DependencyCycle"), "Sync "+w.namespace+"/x → Sync "+w.namespace+"/y", "dependsOn")
		w.condition(s, schema.SyncStalled, metav1.ConditionTrue, "DependencyCycle", "")
	}
	w.change(y, func(s *schema.Sync) { s.Spec.DependsOn = nil })
	w.ready(y, commit)
	w.ready(x, commit)
}

// validation: what the API server says of Syncs that make no sense.
func (w *world) validation() {
	for _, test := range []struct {
		do   func(*schema.SyncSpec)
		want string
	}{
		{func(s *schema.SyncSpec) { s.URL = "https://ada:canary-url@git.example.com/a" }, "credentials belong in the Secret"},
		{func(s *schema.SyncSpec) { s.Path = "a/../../b" }, "does not leave the repository"},
		{func(s *schema.SyncSpec) { s.Interval = "500ms" }, "1s at least"},
		{func(s *schema.SyncSpec) { s.Ref = &schema.SyncRef{Branch: "main", Tag: "v1"} }, "name one of branch, tag, semver and name"},
		{func(s *schema.SyncSpec) { s.Pin = "4f2a9c1" }, "spec.pin"},
		{func(s *schema.SyncSpec) { s.Conflicts = "ignore" }, "spec.conflicts"},
		{func(s *schema.SyncSpec) { s.Ignore = []schema.SyncIgnore{{}} }, "fields or weights"},
	} {
		s := &schema.Sync{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "bad"}, Spec: schema.SyncSpec{URL: "https://git.example.com/a"}}
		test.do(&s.Spec)
		if err := w.Create(w.Context(), s, client.DryRunAll); err == nil || !strings.Contains(err.Error(), test.want) {
			w.Errorf("expected %q, got %v", test.want, err)
		}
	}
	long := &schema.Sync{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: strings.Repeat("x", 64)}, Spec: schema.SyncSpec{URL: "https://git.example.com/a"}}
	if err := w.Create(w.Context(), long, client.DryRunAll); err == nil || !strings.Contains(err.Error(), "63 characters at most") {
		w.Errorf("a long name: %v", err)
	}
}

// TestClusterSyncMonotonic: no forced push leads back where the Sync says so; a pin does.
func TestClusterSyncMonotonic(t *testing.T) {
	w := newWorld(t, "headgate-sync-monotonic")
	w.asInstalled()
	repo := w.repository()
	w.start(Options{})
	first := repo.commit("Begin", "a.yaml", configMap("a", "one"))
	second := repo.commit("Change", "a.yaml", configMap("a", "two"))
	s := repo.sync("a", func(spec *schema.SyncSpec) { spec.Monotonic = true })
	w.ready(s, second)
	repo.git("reset", "-q", "--hard", first)
	w.contains("a way back", w.message(s, "NotMonotonic"), "main@"+first[:7]+" does not come after main@"+second[:7], "main@"+second[:7]+" stays applied")
	w.has("a", "two")
	w.change(s, func(s *schema.Sync) { s.Spec.Pin = first })
	w.ready(s, first)
	w.has("a", "one")
	w.change(s, func(s *schema.Sync) { s.Spec.Pin = "" })
	third := repo.commit("Go on", "a.yaml", configMap("a", "three"))
	w.ready(s, third)
}
