package main

import (
	"bufio"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// unmapProgram takes the pages of the program's file out of this process's memory. The kernel maps 16 around each that is
// touched, so that the initialisation of everything the program can do, which a proxy does not, makes most of the file
// resident.
func unmapProgram() {
	self, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return // no /proc: it stays
	}
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return
	}
	defer maps.Close()
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		// "START-END PERM OFFSET DEVICE INODE PATH"
		f := strings.Fields(lines.Text())
		const fields = 6
		if len(f) < fields || f[5] != self || strings.Contains(f[1], "w") || strings.Contains(f[1], "s") {
			continue // not the file, or pages that were written to: these exist nowhere else
		}
		from, to, _ := strings.Cut(f[0], "-")
		start, err1 := strconv.ParseUint(from, 16, 64)
		end, err2 := strconv.ParseUint(to, 16, 64)
		if err1 == nil && err2 == nil {
			// Should the kernel refuse, they stay.
			_, _, _ = unix.Syscall(unix.SYS_MADVISE, uintptr(start), uintptr(end-start), unix.MADV_DONTNEED)
		}
	}
}
