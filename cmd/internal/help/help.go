// Package help has what all commands say of themselves fit the program's name and a screen.
package help

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"headgate.dev/cmd/internal/term"
)

// Call has usage lines name the program as the user does.
func Call(root *cobra.Command, name string) {
	if name != "" && name != root.Name() {
		root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: name}
	}
}

// Every gives a command and all below it.
func Every(c *cobra.Command) []*cobra.Command {
	out := []*cobra.Command{c}
	for _, child := range c.Commands() {
		out = append(out, Every(child)...)
	}
	return out
}

// Fit lays the help texts out for a screen.
func Fit(root *cobra.Command) {
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), ".FlagUsages", ".FlagUsagesWrapped "+strconv.Itoa(term.Columns)))
	for _, c := range Every(root) {
		c.Long = term.Paragraphs(c.Long)
	}
}

// inText is a command in a help text.
var inText = regexp.MustCompile(`(?m)(^|[ '|(])headgate ([a-z]+)`)

// Rename has the help texts name the program as the user does.
func Rename(root *cobra.Command) {
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
	for _, c := range Every(root) {
		c.Long, c.Example = write(c.Long), write(c.Example)
	}
}
