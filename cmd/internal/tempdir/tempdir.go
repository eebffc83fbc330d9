// Package tempdir makes the private directory of a process, and clears away those of processes that are no more.
package tempdir

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

const (
	dirPrefix = "headgate-"
	// Socket is the name of the xDS socket.
	Socket = "xds.sock"
	// maxSocket is how long the path of a socket may be: 104 bytes with a zero on macOS, 108 on Linux.
	maxSocket = 103
)

// Make makes the private directory of this process below temp: for the xDS socket and Envoy's files. What processes
// that were killed have left there is removed first; the name says which process a directory belongs to.
func Make(temp string) (string, error) {
	sweep(temp)
	dir, err := os.MkdirTemp(temp, fmt.Sprintf("%s%d-", dirPrefix, os.Getpid()))
	if err != nil {
		return "", fmt.Errorf("making a directory for Envoy's files: %w", err)
	}
	if socket := filepath.Join(dir, Socket); len(socket) > maxSocket {
		err := fmt.Errorf("opening the xDS socket %s: its path has %d characters and may have %d; set TMPDIR to a shorter directory",
			socket, len(socket), maxSocket)
		return "", errors.Join(err, os.Remove(dir))
	}
	return dir, nil
}

// sweep removes the directories of this user's processes that are no more. Nothing depends on it, so errors are passed over.
func sweep(temp string) {
	dirs, err := filepath.Glob(filepath.Join(temp, dirPrefix+"*-*"))
	if err != nil {
		return
	}
	for _, dir := range dirs {
		number, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), dirPrefix), "-")
		pid, err := strconv.Atoi(number)
		if err != nil || pid <= 0 || !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			continue
		}
		info, err := os.Lstat(dir)
		if err != nil || !info.IsDir() {
			continue
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); ok && int(stat.Uid) == os.Getuid() {
			_ = os.RemoveAll(dir)
		}
	}
}
