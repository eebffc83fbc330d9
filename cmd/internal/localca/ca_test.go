package localca

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

var now = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func opened(t *testing.T, dir string, at time.Time) *CA {
	t.Helper()
	c, err := Open(dir, at)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestOpenKeepsOne(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "headgate", "ca")
	made := make([]*CA, 8)
	var all sync.WaitGroup
	for i := range made {
		all.Go(func() { made[i] = opened(t, dir, now) })
	}
	all.Wait()
	for _, c := range made {
		if !bytes.Equal(c.Bundle(), made[0].Bundle()) {
			t.Fatal("there are two")
		}
	}
	file, err := os.ReadFile(made[0].Path())
	if err != nil || !bytes.Equal(file, made[0].Bundle()) {
		t.Errorf("the file to trust: %v", err)
	}
	for name, want := range map[string]os.FileMode{".": 0o700, keyFile: 0o600} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	if bytes.Equal(opened(t, dir, now.Add(validity)).Bundle(), file) {
		t.Error("one that is about to expire is used")
	}
}

func TestOpenRefuses(t *testing.T) {
	for name, spoil := range map[string]func(dir string) error{
		"an open directory":     func(dir string) error { return os.Chmod(dir, 0o750) },
		"an open key":           func(dir string) error { return os.Chmod(filepath.Join(dir, keyFile), 0o640) },
		"no key":                func(dir string) error { return os.Remove(filepath.Join(dir, keyFile)) },
		"no certificate":        func(dir string) error { return os.Remove(filepath.Join(dir, certificateFile)) },
		"a broken certificate":  func(dir string) error { return os.WriteFile(filepath.Join(dir, certificateFile), []byte("x"), 0o600) },
		"a key that is a link":  func(dir string) error { return link(filepath.Join(dir, keyFile)) },
		"somebody else's key":   func(dir string) error { return other(filepath.Join(dir, keyFile)) },
		"a leaf instead of one": leafInstead,
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "ca")
			opened(t, dir, now)
			if err := spoil(dir); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(dir, now); err == nil {
				t.Error("it is used")
			}
		})
	}
}

func link(path string) error {
	return errors.Join(os.Rename(path, path+".real"), os.Symlink(path+".real", path))
}

func other(path string) error {
	c, err := New(now)
	if err != nil {
		return err
	}
	key, err := keyPEM(c.key)
	return errors.Join(err, os.WriteFile(path, key, 0o600))
}

func leafInstead(dir string) error {
	c, err := New(now)
	if err != nil {
		return err
	}
	leaf, err := c.Issue([]string{"a.test"}, now)
	return errors.Join(err, os.WriteFile(filepath.Join(dir, certificateFile), leaf.Certificate, 0o600),
		os.WriteFile(filepath.Join(dir, keyFile), leaf.Key, 0o600))
}

func TestIssue(t *testing.T) {
	c, err := New(now)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := c.Issue([]string{"*.shop.test", "cart.localhost", "127.0.0.1"}, now)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(leaf.Certificate, leaf.Key)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(c.Bundle())
	for name, good := range map[string]bool{"a.shop.test": true, "cart.localhost": true, "127.0.0.1": true, "other.test": false} {
		_, err := pair.Leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots, CurrentTime: now})
		if (err == nil) != good {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: leaf.NotAfter.Add(time.Second)}); err == nil {
		t.Error("it is good for ever")
	}
	for _, bad := range [][]string{nil, {"ü.test"}} {
		if _, err := c.Issue(bad, now); err == nil {
			t.Errorf("issued for %q", bad)
		}
	}
}

func TestForServerNames(t *testing.T) {
	c, err := New(now)
	if err != nil {
		t.Fatal(err)
	}
	get := func(name string, at time.Time) *tls.Certificate {
		t.Helper()
		leaf, err := c.For(name, at)
		if err != nil {
			t.Fatal(err)
		}
		return leaf
	}
	first := get("a.test", now)
	if get("a.test", now.Add(LeafValidity-Renew-time.Hour)) != first {
		t.Error("made again too early")
	}
	if get("a.test", now.Add(LeafValidity-Renew)) == first {
		t.Error("not renewed")
	}
	if err := get("", now).Leaf.VerifyHostname("localhost"); err != nil {
		t.Error(err)
	}
}
