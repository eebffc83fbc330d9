package git

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

func TestVerifySSH(t *testing.T) {
	dir := newRepo(t)
	unsigned := resolve(t, open(t, Source{URL: dir}))
	signer, private := newKey(t)
	stranger, _ := newKey(t)
	key := filepath.Join(t.TempDir(), "key")
	if err := errors.Join(os.WriteFile(key, private, 0o600), os.WriteFile(key+".pub", ssh.MarshalAuthorizedKey(signer.PublicKey()), 0o600)); err != nil {
		t.Fatal(err)
	}
	run(t, dir, "-c", "gpg.format=ssh", "-c", "user.signingKey="+key, "commit", "-q", "-S", "--allow-empty", "-m", "Signed\n\nwith a body\n")
	c := resolve(t, open(t, Source{URL: dir}))
	id, err := c.Verify(Keys{SSH: []string{string(ssh.MarshalAuthorizedKey(stranger.PublicKey())), string(ssh.MarshalAuthorizedKey(signer.PublicKey()))}})
	if err != nil || id != ssh.FingerprintSHA256(signer.PublicKey()) || c.Subject != "Signed" {
		t.Errorf("got %s, %v", id, err)
	}
	var se *SignatureError
	if _, err := c.Verify(Keys{SSH: []string{string(ssh.MarshalAuthorizedKey(stranger.PublicKey()))}}); !errors.As(err, &se) || se.Unsigned {
		t.Errorf("a stranger's key: %v", err)
	}
	if _, err := c.Verify(Keys{}); !errors.As(err, &se) {
		t.Errorf("no key: %v", err)
	}
	if _, err := unsigned.Verify(Keys{}); !errors.As(err, &se) || !se.Unsigned || !strings.Contains(err.Error(), "main@sha1:") {
		t.Errorf("unsigned: %v", err)
	}
	raw := run(t, dir, "cat-file", "commit", "HEAD")
	forged, err := parseCommit(c.Hash, []byte(strings.Replace(raw, "Signed", "Forged", 1)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := forged.Verify(Keys{SSH: []string{string(ssh.MarshalAuthorizedKey(signer.PublicKey()))}}); !errors.As(err, &se) {
		t.Errorf("another message: %v", err)
	}
	twice, err := parseCommit(c.Hash, []byte(strings.Replace(raw, "\ngpgsig ", "\ngpgsig x\ngpgsig ", 1)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := twice.Verify(Keys{SSH: []string{string(ssh.MarshalAuthorizedKey(signer.PublicKey()))}}); !errors.As(err, &se) {
		t.Errorf("two signatures: %v", err)
	}
}

func TestVerifyPGP(t *testing.T) {
	dir := newRepo(t)
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
	run(t, dir, "-c", "gpg.program="+script, "-c", "user.signingKey=ada@example.com", "commit", "-q", "-S", "--allow-empty", "-m", "Signed")
	id, err := resolve(t, open(t, Source{URL: dir})).Verify(Keys{PGP: []string{gpg("--armor", "--export", "ada@example.com")}})
	if err != nil || len(id) != 16 {
		t.Errorf("got %s, %v", id, err)
	}
}
