package git

import (
	"errors"
	"os"
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
	options, public := pgpKey(t)
	run(t, dir, append(options, "commit", "-q", "-S", "--allow-empty", "-m", "Signed")...)
	id, err := resolve(t, open(t, Source{URL: dir})).Verify(Keys{PGP: []string{public}})
	if err != nil || len(id) != 16 {
		t.Errorf("got %s, %v", id, err)
	}
}
