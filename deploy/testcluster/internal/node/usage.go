package node

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Usage is what one process of the node takes.
type Usage struct {
	HostPID int
	// PID is the number inside the node; for a process of a pod too.
	PID int
	// Bytes of memory; pages that several processes share are divided among them.
	Bytes int64
}

// Usage measures every process of the node, those of the pods included: they all descend from the init, because it inherits orphans.
func (r Record) Usage() ([]Usage, error) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	parents, inner := map[int]int{}, map[int]int{}
	for _, dir := range dirs {
		status, err := os.ReadFile(dir + "/status")
		if err != nil {
			continue // it ended meanwhile
		}
		pid, _ := strconv.Atoi(filepath.Base(dir))
		parents[pid], inner[pid] = parseStatus(string(status))
	}
	var all []Usage
	for pid := range parents {
		if descends(parents, pid, r.PID) {
			all = append(all, Usage{pid, inner[pid], memory(pid)})
		}
	}
	return all, nil
}

// parseStatus takes the parent and the number one process namespace further in out of /proc/PID/status.
func parseStatus(status string) (parent, inner int) {
	for line := range strings.Lines(status) {
		name, value, _ := strings.Cut(line, ":")
		fields := strings.Fields(value)
		switch {
		case name == "PPid" && len(fields) > 0:
			parent, _ = strconv.Atoi(fields[0])
		case name == "NSpid" && len(fields) > 1:
			inner, _ = strconv.Atoi(fields[1])
		}
	}
	return parent, inner
}

// descends says whether pid is ancestor or one of its descendants.
func descends(parents map[int]int, pid, ancestor int) bool {
	for range 64 { // a chain that changed while it was read may be a ring
		if pid == ancestor {
			return true
		}
		if pid = parents[pid]; pid <= 1 && pid != ancestor {
			return false
		}
	}
	return false
}

func memory(pid int) int64 {
	f, err := os.Open(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), "Pss:"); ok {
			kib, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			return kib << 10
		}
	}
	return 0
}
