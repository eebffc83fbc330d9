package kustomize

import (
	"io/fs"
	"path"
	"regexp"
	"strings"

	"headgate.dev/schema"
)

// reference records the path a field names and refuses what is none inside the tree.
func (d *decoder) reference(n *schema.Node, pointer, row string) {
	kind := fields[row]
	if kind == plain || kind == group || row == "" {
		return
	}
	text := n.Text
	if kind == keyedRaw {
		if _, file, ok := strings.Cut(text, "="); ok {
			text = file
		}
	}
	if kind == fileInline && strings.ContainsAny(text, "\n{") {
		return // an inline patch
	}
	problem := refusal(text)
	name := path.Join(d.file.Dir, text)
	if problem == "" && !fs.ValidPath(name) {
		problem = "leads out of the tree"
	}
	if problem != "" {
		d.fail(n.Pos, pointer, "%q %s", text, problem)
		return
	}
	d.file.refs = append(d.file.refs, ref{use: kind, text: text, name: name, node: n, at: pointer})
}

// scpLike is "user@host:path" and "host.name:path", which git takes for ssh.
var scpLike = regexp.MustCompile(`^([\w.-]+@)?[\w-]+(\.[\w-]+)*:`)

const remote = "is not in the tree: headgate fetches nothing while it renders; commit a copy and name that"

// refusal says what is wrong with a path as it is written, "" when nothing is.
func refusal(text string) string {
	lower := strings.ToLower(text)
	switch {
	case text == "":
		return "names nothing"
	case strings.Contains(text, "://"), strings.HasPrefix(lower, "git::"), scpLike.MatchString(text),
		strings.HasPrefix(lower, "github.com"), strings.HasPrefix(lower, "gh:"), strings.ContainsRune(text, '?'):
		return remote
	case strings.HasPrefix(text, "//"):
		return remote
	case path.IsAbs(text):
		return "is an absolute path; name it relative to this file"
	case strings.ContainsAny(text, "\\\x00\n"):
		return "is no path with forward slashes"
	}
	return ""
}
