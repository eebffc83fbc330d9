package footprint

import (
	"bufio"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// unmap takes the pages of the program's file out of this process's memory. The kernel maps 16 around each that is
// touched, so that the initialisation of everything the program can do, which a proxy does not, makes most of the file
// resident. Only mappings of which this process has no copy of its own are touched: what a loader relocated, and then made
// read-only, exists nowhere else.
func unmap() {
	self, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return // no /proc: it stays
	}
	maps, err := os.Open("/proc/self/smaps")
	if err != nil {
		return
	}
	defer maps.Close()
	var start, end uintptr // of the mapping that the lines are about; both 0: of none that matters
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		f := strings.Fields(lines.Text())
		switch {
		case len(f) > 1 && strings.Contains(f[0], "-"):
			start, end = programPages(f, self)
		case end > start && strings.Join(f, " ") == "Anonymous: 0 kB":
			// Should the kernel refuse, they stay.
			_, _, _ = unix.Syscall(unix.SYS_MADVISE, start, end-start, unix.MADV_DONTNEED)
		}
	}
}

// programPages are the addresses of a mapping, if it is one of the program's file that is only read. Its fields are
// START-END PERM OFFSET DEVICE INODE PATH.
func programPages(f []string, self string) (start, end uintptr) {
	const fields = 6
	if len(f) < fields || f[5] != self || f[1] != "r--p" && f[1] != "r-xp" {
		return 0, 0
	}
	return addresses(f[0])
}

func addresses(text string) (start, end uintptr) {
	from, to, _ := strings.Cut(text, "-")
	a, err1 := strconv.ParseUint(from, 16, 64)
	b, err2 := strconv.ParseUint(to, 16, 64)
	if err1 != nil || err2 != nil {
		return 0, 0
	}
	return uintptr(a), uintptr(b)
}
