package notify

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/template"
	"text/template/parse"
)

// maxText is how long a text may become, in bytes.
const maxText = 8 << 10

var errLong = errors.New("the text is longer than 8 KiB")

// functions are those a template may call. Others could take all memory or time: a template is foreign input.
var functions = template.FuncMap{
	"upper": strings.ToUpper, "lower": strings.ToLower, "trim": strings.TrimSpace,
	"join": func(separator string, list []string) string { return strings.Join(list, separator) },
}

var builtins = []string{"and", "or", "not", "eq", "ne", "len", "index"}

// CheckTemplate says what is wrong with the template of a receiver.
func CheckTemplate(text string) error {
	t, err := parseTemplate(text)
	if err != nil {
		return err
	}
	_, err = execute(t, &Notice{Title: "title", Lines: []string{"line"}})
	return err
}

func parseTemplate(text string) (*template.Template, error) {
	t, err := template.New("text").Funcs(functions).Parse(text)
	if err != nil {
		return nil, fmt.Errorf("reading the template: %w", err)
	}
	if len(t.Templates()) > 1 {
		return nil, errors.New("reading the template: define and block are not for it")
	}
	if t.Tree == nil {
		return t, nil
	}
	if problem := forbidden(t.Root, 0); problem != "" {
		return nil, fmt.Errorf("reading the template: %s", problem)
	}
	return t, nil
}

// text gives what a receiver is to read, not escaped.
func text(r *Receiver, n *Notice) (string, error) {
	if r.Template == "" {
		return strings.Join(append([]string{n.heading()}, n.Lines...), "\n"), nil
	}
	t, err := parseTemplate(r.Template)
	if err != nil {
		return "", err
	}
	return execute(t, n)
}

// heading is the first line of the usual text: "[drift] HTTPRoute team-a/cart drifted: ... in cluster prod".
func (n *Notice) heading() string {
	out := "[" + string(n.Event) + "] " + n.Title
	if n.Cluster != "" {
		out += " · cluster " + n.Cluster
	}
	if n.Phase == Opened || n.Phase == Updated {
		out += " · opened " + n.Opened.UTC().Format("15:04:05")
	}
	return out
}

func execute(t *template.Template, n *Notice) (string, error) {
	out := &bounded{}
	if err := t.Execute(out, n); err != nil {
		return "", fmt.Errorf("filling in the template: %w", err)
	}
	return out.String(), nil
}

type bounded struct{ bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxText {
		return 0, errLong
	}
	return b.Buffer.Write(p)
}

// forbidden names what a template must not have: calls of other functions, loops over numbers, loops in loops in loops.
func forbidden(node parse.Node, loops int) string {
	switch n := node.(type) {
	case *parse.ListNode:
		if n == nil {
			return ""
		}
		return forbiddenIn(n.Nodes, loops)
	case *parse.ActionNode:
		return forbidden(n.Pipe, loops)
	case *parse.IfNode:
		return forbiddenBranch(&n.BranchNode, loops)
	case *parse.WithNode:
		return forbiddenBranch(&n.BranchNode, loops)
	case *parse.RangeNode:
		return forbiddenRange(n, loops)
	case *parse.PipeNode:
		return forbiddenCalls(n, loops)
	case *parse.IdentifierNode:
		if _, ok := functions[n.Ident]; !ok && !slices.Contains(builtins, n.Ident) {
			return "there is no function " + n.Ident + " in it"
		}
	case *parse.TemplateNode:
		return "template is not for it"
	}
	return ""
}

func forbiddenBranch(n *parse.BranchNode, loops int) string {
	for _, part := range []parse.Node{n.Pipe, n.List, n.ElseList} {
		if problem := forbidden(part, loops); problem != "" {
			return problem
		}
	}
	return ""
}

func forbiddenRange(n *parse.RangeNode, loops int) string {
	if loops >= 2 {
		return "two loops inside each other at most"
	}
	if len(n.Pipe.Cmds) != 1 || len(n.Pipe.Cmds[0].Args) != 1 || n.Pipe.Cmds[0].Args[0].Type() != parse.NodeField {
		return "range is over a field, as .Lines"
	}
	return forbiddenBranch(&n.BranchNode, loops+1)
}

func forbiddenCalls(n *parse.PipeNode, loops int) string {
	for _, c := range n.Cmds {
		if problem := forbiddenIn(c.Args, loops); problem != "" {
			return problem
		}
	}
	return ""
}

func forbiddenIn(nodes []parse.Node, loops int) string {
	for _, n := range nodes {
		if problem := forbidden(n, loops); problem != "" {
			return problem
		}
	}
	return ""
}
