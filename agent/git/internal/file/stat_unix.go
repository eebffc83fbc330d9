//go:build unix

package file

import (
	"io/fs"
	"syscall"
)

// What the system calls these errors.
const (
	ErrIsDir  = syscall.EISDIR
	ErrNotDir = syscall.ENOTDIR
)

// Inode tells files of the same name, size and time apart.
func Inode(st fs.FileInfo) uint64 {
	if s, ok := st.Sys().(*syscall.Stat_t); ok {
		return s.Ino
	}
	return 0
}
