package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Record names a process so that no other can be taken for it: ids are used again, but not with the same start in the same boot.
type Record struct {
	PID int `json:"pid"`
	// Start is in ticks since boot, as in field 22 of /proc/PID/stat.
	Start uint64 `json:"start"`
	Boot  string `json:"boot"`
}

// Describe makes the record of a running process.
func Describe(pid int) (Record, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return Record{}, fmt.Errorf("reading process %d: %w", pid, err)
	}
	_, start, err := parseStat(string(stat))
	if err != nil {
		return Record{}, fmt.Errorf("reading process %d: %w", pid, err)
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return Record{}, err
	}
	return Record{pid, start, strings.TrimSpace(string(boot))}, nil
}

// parseStat takes state and start out of /proc/PID/stat. The program's name before them may hold anything, even ") ".
func parseStat(stat string) (state string, start uint64, err error) {
	end := strings.LastIndex(stat, ")")
	if end < 0 {
		return "", 0, errors.New("stat has no name of a program")
	}
	fields := strings.Fields(stat[end+1:])
	if len(fields) < 20 {
		return "", 0, fmt.Errorf("stat has only %d fields after the name", len(fields))
	}
	start, err = strconv.ParseUint(fields[19], 10, 64)
	return fields[0], start, err
}

// Alive says whether this very process still runs. One that ended and was not buried does not.
func (r Record) Alive() bool {
	if r.PID <= 0 {
		return false
	}
	now, err := Describe(r.PID)
	if err != nil || now != r {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", r.PID))
	if err != nil {
		return false
	}
	state, _, err := parseStat(string(stat))
	return err == nil && state != "Z" && state != "X"
}

// Stop ends the process, by force when it takes longer than grace, and waits until it is gone.
func (r Record) Stop(ctx context.Context, grace time.Duration) error {
	fd, err := unix.PidfdOpen(r.PID, 0)
	if err != nil || !r.Alive() { // the descriptor first: from here on the id cannot become another process's
		return nil
	}
	defer unix.Close(fd)
	for _, s := range []unix.Signal{unix.SIGTERM, unix.SIGKILL} {
		if err := unix.PidfdSendSignal(fd, s, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("ending process %d: %w", r.PID, err)
		}
		if waitEnd(ctx, fd, grace) {
			return nil
		}
	}
	return fmt.Errorf("process %d does not end, even by force; a process that waits for a device or a file system holds it", r.PID)
}

// waitEnd is true when the process of the descriptor ended in time.
func waitEnd(ctx context.Context, fd int, limit time.Duration) bool {
	for end := time.Now().Add(limit); time.Now().Before(end) && ctx.Err() == nil; {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 200)
		if err == nil && n > 0 {
			return true
		}
	}
	return false
}

// Record reads the process that runs the node; the zero one when there is none.
func (l Layout) Record() Record {
	var r Record
	if readJSON(l.recordFile(), &r) != nil {
		return Record{}
	}
	return r
}
