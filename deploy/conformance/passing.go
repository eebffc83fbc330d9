package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

const listHead = "# The tests of the suite that pass. `make conformance` fails when one of them does not, and `-update` adds to them; nothing is ever removed.\n"

// readList reads a passing list: a name a line, sorted.
func readList(path string) ([]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the passing list: %w", err)
	}
	names, err := parseList(string(text))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return names, nil
}

func parseList(text string) ([]string, error) {
	var names []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if !known[line] {
			return nil, fmt.Errorf("the suite has no test %s", line)
		}
		if len(names) > 0 && names[len(names)-1] >= line {
			return nil, fmt.Errorf("%s is not in its place: the list is sorted, with each test once", line)
		}
		names = append(names, line)
	}
	return names, nil
}

func writeList(path string, names []string) error {
	slices.Sort(names)
	return os.WriteFile(path, []byte(listHead+strings.Join(slices.Compact(names), "\n")+"\n"), 0o644)
}

// compare holds the results of the tests that were asked for against the list: tests of the list that did not pass, and tests that passed and
// are not in the list.
func compare(list []string, results map[string]result) (regressed, added []string) {
	for name, r := range results {
		_, listed := slices.BinarySearch(list, name)
		switch {
		case listed && r.Outcome != "pass":
			regressed = append(regressed, name)
		case !listed && r.Outcome == "pass":
			added = append(added, name)
		}
	}
	slices.Sort(regressed)
	slices.Sort(added)
	return regressed, added
}
