package main

import (
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"headgate.dev/cmd/internal/cluster"
	"headgate.dev/cmd/internal/term"
)

// programName is what the user calls the program: a file kubectl-headgate on the PATH is kubectl's plugin `kubectl headgate`
// (https://kubernetes.io/docs/tasks/extend-kubectl/kubectl-plugins/).
func programName(file string) string {
	if strings.HasPrefix(filepath.Base(file), "kubectl-headgate") {
		return "kubectl headgate"
	}
	return "headgate"
}

// call has usage lines name the program as the user does.
func call(root *cobra.Command, name string) {
	if name != "" && name != root.Name() {
		root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: name}
	}
}

// program is what commands for a cluster are part of.
func (s streams) program(root *cobra.Command) cluster.Program {
	return cluster.Program{Out: s.out, Err: s.err, Getenv: s.getenv, Name: root.DisplayName()}
}

// everyCommand gives a command and all below it.
func everyCommand(c *cobra.Command) []*cobra.Command {
	out := []*cobra.Command{c}
	for _, child := range c.Commands() {
		out = append(out, everyCommand(child)...)
	}
	return out
}

// fit lays the help texts out for a screen.
func fit(root *cobra.Command) {
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), ".FlagUsages", ".FlagUsagesWrapped "+strconv.Itoa(term.Columns)))
	for _, c := range everyCommand(root) {
		c.Long = term.Paragraphs(c.Long)
	}
}

// inText is a command in a help text.
var inText = regexp.MustCompile(`(?m)(^|[ '|(])headgate ([a-z]+)`)

// rename has the help texts name the program as the user does.
func rename(root *cobra.Command) {
	if root.DisplayName() == root.Name() {
		return
	}
	known := map[string]bool{}
	for _, c := range root.Commands() {
		known[c.Name()] = true
	}
	write := func(text string) string {
		return inText.ReplaceAllStringFunc(text, func(found string) string {
			m := inText.FindStringSubmatch(found)
			if !known[m[2]] {
				return found
			}
			return m[1] + root.DisplayName() + " " + m[2]
		})
	}
	for _, c := range everyCommand(root) {
		c.Long, c.Example = write(c.Long), write(c.Example)
	}
}
