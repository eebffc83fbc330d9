package git

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"headgate.dev/agent/git/internal/tag"
)

// signingKey writes an SSH key for git to sign with, and gives git's options for it and its public half.
func signingKey(t *testing.T) (options []string, public string) {
	t.Helper()
	signer, private := newKey(t)
	public = string(ssh.MarshalAuthorizedKey(signer.PublicKey()))
	key := filepath.Join(t.TempDir(), "key")
	if err := errors.Join(os.WriteFile(key, private, 0o600), os.WriteFile(key+".pub", []byte(public), 0o600)); err != nil {
		t.Fatal(err)
	}
	return []string{"-c", "gpg.format=ssh", "-c", "user.signingKey=" + key}, public
}

// pgpKey makes a PGP key, and gives git's options for it and its public half.
func pgpKey(t *testing.T) (options []string, public string) {
	t.Helper()
	home, err := os.MkdirTemp("", "gpg") // a short path: the agent's socket lies in it
	if err != nil {
		t.Fatal(err)
	}
	gpg := func(args ...string) string {
		cmd := exec.Command("gpg", append([]string{"--batch", "--quiet", "--homedir", home, "--pinentry-mode", "loopback", "--passphrase", ""}, args...)...)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("gpg %v: %v", args, err)
		}
		return string(out)
	}
	t.Cleanup(func() {
		_ = exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run()
		_ = os.RemoveAll(home)
	})
	gpg("--quick-gen-key", "Ada <ada@example.com>", "ed25519", "sign", "never")
	script := filepath.Join(home, "sign")
	if err := os.WriteFile(script, []byte("#!/bin/sh\nexec gpg --homedir "+home+" --batch \"$@\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return []string{"-c", "gpg.program=" + script, "-c", "user.signingKey=ada@example.com"}, gpg("--armor", "--export", "ada@example.com")
}

// TestVerifyTag fetches tags of all sorts from a server, and asks whether they are signed.
func TestVerifyTag(t *testing.T) {
	dir, url, _ := published(t)
	options, public := signingKey(t)
	pgpOptions, pgpPublic := pgpKey(t)
	_, stranger := signingKey(t)
	git := func(options []string, args ...string) { run(t, dir, append(options, args...)...) }
	git(options, "tag", "-s", "-m", "One", "v1.0.0")
	git(pgpOptions, "tag", "-s", "-m", "Two", "v2.0.0")
	git(nil, "tag", "-a", "-m", "Three", "v3.0.0")
	git(nil, "tag", "v4.0.0")
	git(nil, "update-ref", "refs/tags/v5.0.0", run(t, dir, "rev-parse", "v1.0.0")) // the signed one under another name
	git(options, "tag", "-s", "-m", "Of a tag", "v6.0.0", "v3.0.0")
	push(t, dir)
	keys := Keys{SSH: []string{stranger, public}, PGP: []string{pgpPublic}}
	for _, c := range []struct {
		ref  Ref
		keys Keys
		want string // in the error; empty: none
	}{
		{Ref{Tag: "v1.0.0"}, keys, ""},
		{Ref{SemVer: "1.x"}, keys, ""},
		{Ref{Name: "refs/tags/v1.0.0"}, keys, ""},
		{Ref{Tag: "v2.0.0"}, keys, ""},
		{Ref{Tag: "v6.0.0"}, keys, ""},
		{Ref{Tag: "v1.0.0"}, Keys{SSH: []string{stranger}}, "verifying the signature of the tag of v1.0.0@sha1:"},
		{Ref{Tag: "v2.0.0"}, Keys{SSH: []string{public}}, "the tag of v2.0.0@sha1:"},
		{Ref{Tag: "v3.0.0"}, keys, "the tag is not signed"},
		{Ref{Tag: "v4.0.0"}, keys, "it is a lightweight tag, which cannot be signed"},
		{Ref{Tag: "v5.0.0"}, keys, `the signed tag calls itself "v1.0.0"`},
		{Ref{Branch: "main"}, keys, "it was not found by a tag"},
		{Ref{}, keys, "it was not found by a tag"},
		{Ref{Commit: run(t, dir, "rev-parse", "HEAD")}, keys, "it was not found by a tag"},
	} {
		for _, from := range []string{url, dir} {
			commit := resolve(t, open(t, Source{URL: from, Ref: c.ref}))
			id, err := commit.VerifyTag(c.keys)
			var se *SignatureError
			switch {
			case c.want == "" && (err != nil || id == ""):
				t.Errorf("%s: %q, %v", c.ref, id, err)
			case c.want != "" && (!errors.As(err, &se) || !strings.Contains(err.Error(), c.want) || id != ""):
				t.Errorf("%s: %v, want %q", c.ref, err, c.want)
			}
		}
	}
}

// The same commit, first known by its branch, is fetched again with the tag that was made later; and a moved tag is another one.
func TestTagAfterItsCommit(t *testing.T) {
	dir, url, _ := published(t)
	options, public := signingKey(t)
	r := open(t, Source{URL: url, Ref: Ref{SemVer: ">=1"}})
	for _, name := range []string{"v1.0.0", "v1.1.0"} {
		run(t, dir, append(options, "tag", "-s", "-m", "Release", name)...)
		push(t, dir)
		c := resolve(t, r)
		if _, err := c.VerifyTag(Keys{SSH: []string{public}}); err != nil || c.Tag.Name != name || c.Tag.Tagger != "Ada" || c.Tag.When.IsZero() {
			t.Errorf("%s: %+v, %v", name, c.Tag, err)
		}
	}
	run(t, dir, "tag", "-f", "v1.1.0")
	push(t, dir, "--force")
	if c := resolve(t, r); c.Tag != nil {
		t.Errorf("moved to a lightweight tag: %+v", c.Tag)
	}
}

func TestForgedTag(t *testing.T) {
	dir := newRepo(t)
	options, public := signingKey(t)
	run(t, dir, append(options, "tag", "-s", "-m", "One", "v1.0.0")...)
	first := run(t, dir, "rev-parse", "HEAD")
	raw := run(t, dir, "cat-file", "tag", "v1.0.0") + "\n"
	second := commit(t, dir, "a.yaml", "a: 2\n")
	keys := Keys{SSH: []string{public}}
	check := func(raw string) error {
		tag, err := tag.Parse(strings.Repeat("1", 40), []byte(raw))
		if err != nil {
			return err
		}
		_, err = (&Commit{Ref: "refs/tags/v1.0.0", Revision: "v1.0.0@sha1:1", Tag: tag}).VerifyTag(keys)
		return err
	}
	if err := check(raw); err != nil {
		t.Error(err)
	}
	signature := raw[strings.Index(raw, "-----BEGIN SSH"):]
	for what, forged := range map[string]string{
		"another commit":     strings.Replace(raw, first, second, 1),
		"another message":    strings.Replace(raw, "\nOne\n", "\nTwo\n", 1),
		"more behind":        raw + "More\n-----BEGIN SSH SIGNATURE-----\n",
		"a second signature": raw + signature,
		"no object":          strings.Replace(raw, "object "+first, "object x", 1),
	} {
		if err := check(forged); err == nil {
			t.Errorf("%s: taken", what)
		}
	}
}

func TestKeysFromSecret(t *testing.T) {
	_, public := signingKey(t)
	ring := "-----BEGIN PGP PUBLIC KEY BLOCK-----\n"
	k, err := KeysFromSecret(map[string][]byte{"ada.asc": []byte(ring), "authorized_keys": []byte("# the team\n" + public)})
	if err != nil || len(k.PGP) != 1 || len(k.SSH) != 1 {
		t.Errorf("%+v, %v", k, err)
	}
	for _, wrong := range []map[string][]byte{nil, {"ada": []byte("canary")}, {"ada": []byte("# none\n")}, {"good": []byte(public), "ada": []byte("ssh-ed25519 canary")}} {
		if _, err := KeysFromSecret(wrong); err == nil || strings.Contains(err.Error(), "canary") || wrong != nil && !strings.Contains(err.Error(), "ada") {
			t.Errorf("%v: %v", wrong, err)
		}
	}
}

// FuzzTag: what is signed and the signature are the whole object, whatever is in it.
func FuzzTag(f *testing.F) {
	f.Add([]byte("object 1111111111111111111111111111111111111111\ntype commit\ntag v1\ntagger A <a> 1 +0000\n\nm\n-----BEGIN PGP SIGNATURE-----\n\n-----END PGP SIGNATURE-----\n"))
	f.Add([]byte("object 1111111111111111111111111111111111111111"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		tag, err := tag.Parse("", raw)
		if err == nil && string(tag.Signed)+tag.Signature != string(raw) {
			t.Errorf("%q and %q", tag.Signed, tag.Signature)
		}
	})
}
