package local

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
)

// errClaimed is why an address that looks free is not: another headgate of this user is about to serve it.
var errClaimed = errors.New("address already in use by another headgate up")

// claims is where the headgates of one user agree on who serves which address. Probing alone cannot tell: Envoy shares an
// address with any other Envoy of the same user, so that two which start at the same time would both seem to serve.
//
// A claim is a lock on a file that is named after the address. The kernel drops it with the process, however that ends; the
// empty file stays, because who removes it could remove another's.
type claims struct{ dir string }

// openClaims makes the directory of the files below temp, and makes sure that nobody else has a say in it.
func openClaims(temp string) (claims, error) {
	dir := filepath.Join(temp, fmt.Sprintf("headgate-ports-%d", os.Getuid()))
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return claims{}, fmt.Errorf("making a directory for the ports in use: %w", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return claims{}, fmt.Errorf("looking at the directory for the ports in use: %w", err)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() || info.Mode().Perm() != 0o700 || int(stat.Uid) != os.Getuid() {
		return claims{}, fmt.Errorf("%s is not a directory that belongs to you alone: remove it, or set TMPDIR to another directory", dir)
	}
	return claims{dir: dir}, nil
}

// socketAddr is an address of this machine with the transport: a TCP and a UDP socket do not get in each other's way.
type socketAddr struct {
	addr netip.AddrPort
	udp  bool
}

func (a socketAddr) network() string {
	if a.udp {
		return "udp"
	}
	return "tcp"
}

// claim is an address that is ours until release.
type claim []*os.File

// take claims an address; errClaimed when another headgate has it. A wildcard address needs the port on all others too.
func (c claims) take(a socketAddr) (claim, error) {
	every, how := filepath.Join(c.dir, fmt.Sprintf("%s-%d", a.network(), a.addr.Port())), syscall.LOCK_SH
	if a.addr.Addr().IsUnspecified() {
		how = syscall.LOCK_EX
	}
	port, err := lock(every, how)
	if err != nil {
		return nil, err
	}
	held := claim{port}
	one, err := lock(filepath.Join(c.dir, fmt.Sprintf("%s-%d-%s", a.network(), a.addr.Port(), a.addr.Addr())), syscall.LOCK_EX)
	if err != nil {
		held.release()
		return nil, err
	}
	return append(held, one), nil
}

func lock(name string, how int) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("claiming a port: %w", err)
	}
	for {
		err = syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	switch {
	case err == nil:
		return f, nil
	case errors.Is(err, syscall.EWOULDBLOCK):
		err = errClaimed
	default:
		err = fmt.Errorf("claiming a port: locking %s: %w", name, err)
	}
	return nil, errors.Join(err, f.Close())
}

func (c claim) release() {
	for _, f := range c {
		_ = f.Close() // which drops the lock, whatever it says
	}
}

// bindable finds out whether an address can be bound. Envoy itself would only say so after the commit was applied.
func bindable(a socketAddr) error {
	if a.udp {
		conn, err := net.ListenPacket("udp", a.addr.String())
		if err != nil {
			return err
		}
		return conn.Close()
	}
	l, err := net.Listen("tcp", a.addr.String())
	if err != nil {
		return err
	}
	return l.Close()
}
