// Package person reads whom a commit or a tag names as its author, and when.
package person

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Name reads what stands before the time; ok is false without an address.
func Name(s string) (name, email string, ok bool) {
	name, rest, ok := strings.Cut(s, " <")
	email, _, _ = strings.Cut(rest, ">")
	return name, email, ok
}

// Parse reads "Name <address> seconds zone"; the time is zero where there is none.
func Parse(s string) (name, email string, when time.Time, err error) {
	name, email, _ = Name(s)
	fields := strings.Fields(s[strings.LastIndexByte(s, '>')+1:])
	if len(fields) != 2 {
		return name, email, when, nil
	}
	sec, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil {
		return name, email, when, fmt.Errorf("committer: %q is not a time", fields[0])
	}
	zone, err := time.Parse("-0700", fields[1])
	if err != nil {
		return name, email, time.Unix(sec, 0).UTC(), nil // a wrong zone is common in old commits and changes no instant
	}
	return name, email, time.Unix(sec, 0).In(zone.Location()), nil
}
