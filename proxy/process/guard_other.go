//go:build unix && !linux

package process

import "syscall"

// dieWithParent does nothing: this system does not end children with their parents.
func dieWithParent(*syscall.SysProcAttr) {}

// guard lets a watcher kill the child when this program ends.
func guard(pid int) (release func()) { return watch(pid) }
