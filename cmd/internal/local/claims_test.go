package local

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"headgate.dev/proxy/model"
)

// TestMain keeps the claims and the CA of these tests to themselves: other copies of them may run on this machine.
func TestMain(m *testing.M) {
	temp, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	for _, name := range []string{"TMPDIR", "XDG_CACHE_HOME"} {
		if err := os.Setenv(name, temp); err != nil {
			panic(err)
		}
	}
	code := m.Run()
	_ = os.RemoveAll(temp)
	os.Exit(code)
}

func newClaims(t *testing.T, temp string) claims {
	t.Helper()
	c, err := openClaims(temp)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestClaims(t *testing.T) {
	temp := t.TempDir()
	mine, theirs := newClaims(t, temp), newClaims(t, temp)
	addr := func(s string, udp bool) socketAddr { return socketAddr{netip.MustParseAddrPort(s), udp} }
	for _, test := range []struct {
		held, wanted socketAddr
		clash        bool
	}{
		{addr("127.0.0.1:80", false), addr("127.0.0.1:80", false), true},
		{addr("127.0.0.1:80", false), addr("127.0.0.1:80", true), false},
		{addr("127.0.0.1:80", false), addr("127.0.0.1:81", false), false},
		{addr("127.0.0.1:80", false), addr("127.0.0.2:80", false), false},
		{addr("127.0.0.1:80", false), addr("0.0.0.0:80", false), true},
		{addr("0.0.0.0:80", false), addr("127.0.0.1:80", false), true},
		{addr("0.0.0.0:80", false), addr("[::]:80", false), true},
		{addr("[::1]:80", true), addr("[::1]:80", true), true},
	} {
		held, err := mine.take(test.held)
		if err != nil {
			t.Fatal(err)
		}
		got, err := theirs.take(test.wanted)
		if errors.Is(err, errClaimed) != test.clash || err != nil && !test.clash {
			t.Errorf("%v held, %v wanted: %v", test.held, test.wanted, err)
		}
		got.release()
		held.release()
		if again, err := theirs.take(test.wanted); err != nil {
			t.Errorf("%v after release: %v", test.wanted, err)
		} else {
			again.release()
		}
	}
}

// TestClaimsDirectory refuses a directory in which others have a say.
func TestClaimsDirectory(t *testing.T) {
	for name, make := range map[string]func(dir string) error{
		"a link":        func(dir string) error { return os.Symlink(t.TempDir(), dir) },
		"a file":        func(dir string) error { return os.WriteFile(dir, nil, 0o600) },
		"open to other": func(dir string) error { return errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, 0o770)) },
	} {
		t.Run(name, func(t *testing.T) {
			temp := t.TempDir()
			if err := make(filepath.Join(temp, "headgate-ports-"+strconv.Itoa(os.Getuid()))); err != nil {
				t.Fatal(err)
			}
			if _, err := openClaims(temp); err == nil {
				t.Error("it is taken")
			}
		})
	}
}

// TestPortMapClaims: who plans first has the address, and the other gets it as soon as it is given up.
func TestPortMapClaims(t *testing.T) {
	temp := t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := uint16(l.Addr().(*net.TCPAddr).Port)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	fixed := map[int32]uint16{80: port}
	mine := newPortMap(netip.MustParseAddr("127.0.0.1"), fixed, newClaims(t, temp))
	theirs := newPortMap(netip.MustParseAddr("127.0.0.1"), fixed, newClaims(t, temp))
	ids, other := []model.ListenerID{listenerID("one", 80)}, []model.ListenerID{listenerID("one", 81), listenerID("one", 80)}
	udp := []model.ListenerID{{Gateway: ids[0].Gateway, Port: 80, UDP: true}}

	planned, err := mine.plan(ids)
	if err != nil {
		t.Fatal(err)
	}
	var refused *PortError
	if _, err := theirs.plan(other); !errors.As(err, &refused) || !errors.Is(err, errClaimed) {
		t.Fatalf("both have it: %v", err)
	}
	if c, err := mine.claims.take(theirs.at(other[0], 8081)); err != nil {
		t.Errorf("a plan that fails keeps an address: %v", err)
	} else {
		c.release()
	}
	if p, err := theirs.plan(udp); err != nil {
		t.Errorf("UDP: %v", err)
	} else {
		p.release(theirs)
	}
	// A later map keeps the claim until the map without it counts.
	empty, err := planned.plan(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := theirs.plan(ids); !errors.Is(err, errClaimed) {
		t.Fatalf("not given up yet: %v", err)
	}
	planned.release(empty)
	p, err := theirs.plan(ids)
	if err != nil {
		t.Fatalf("given up: %v", err)
	}
	p.release(nil)
}
