package file

import (
	"os"

	"golang.org/x/sys/unix"
)

// Lock makes a file, if it is not there, and locks it until it is closed or the process ends; nil where another process has locked it.
func Lock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, f.Close()
	}
	return f, nil
}
