// Package refs reads the references of a repository on disk, in the files format: a name stands in a file of its own, or in packed-refs.
package refs

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"headgate.dev/agent/git/internal/file"
)

// refName is what Git lets a reference be called, as far as it matters to a file system and a protocol line.
var refName = regexp.MustCompile(`^refs(/[^/\x00-\x20\x7f~^:?*\[\\]+)+$`)

func validRefName(name string) bool {
	return refName.MatchString(name) && !strings.Contains(name, "..") && !strings.Contains(name, "/.") &&
		!strings.HasSuffix(name, ".lock") && !strings.HasSuffix(name, ".")
}

// FullID is the whole id of a commit.
var FullID = regexp.MustCompile(`^[0-9a-f]{40}$`)

// TooManyError says that packed-refs is larger than the limit.
type TooManyError struct {
	Path string
	// Limit in bytes.
	Limit int64
}

// Error implements error.
func (e *TooManyError) Error() string {
	return fmt.Sprintf("reading %s: more than the limit of %d bytes of references", e.Path, e.Limit)
}

// Files are the references of one repository. The exported fields are constant; it is for one goroutine.
type Files struct {
	// GitDir holds HEAD, Common most references; they differ for a linked work tree.
	GitDir, Common string
	// Limit is how many bytes packed-refs may have.
	Limit int64

	stamp  string            // of packed-refs, when packed was filled
	packed map[string]string // answers out of packed-refs; "" is "not there"
}

// DirOf gives where a reference lies: each linked work tree has some for itself.
func (l *Files) DirOf(name string) string {
	for _, p := range []string{"refs/bisect/", "refs/worktree/", "refs/rewritten/"} {
		if strings.HasPrefix(name, p) {
			return l.GitDir
		}
	}
	if !strings.HasPrefix(name, "refs/") {
		return l.GitDir
	}
	return l.Common
}

// Read follows a reference to an id: full name of the last reference, id. An id of "" is a reference that does not exist.
func (l *Files) Read(name string) (ref, hash string, err error) {
	for range 10 {
		if name != "HEAD" && !validRefName(name) {
			return name, "", nil
		}
		data, err := os.ReadFile(filepath.Join(l.DirOf(name), filepath.FromSlash(name)))
		text := strings.TrimSpace(string(data))
		next, symbolic := strings.CutPrefix(text, "ref:")
		switch {
		case err != nil && !isMissing(err):
			return name, "", fmt.Errorf("reading reference %s: %w", name, err)
		case err != nil || text == "":
			hash, err := l.fromPacked(name)
			return name, hash, err
		case symbolic:
			name = strings.TrimSpace(next)
		case FullID.MatchString(text):
			return name, text, nil
		default:
			return name, "", fmt.Errorf("reading reference %s: it holds %.60q, which is no commit id", name, text)
		}
	}
	return name, "", fmt.Errorf("reading reference %s: references that point in a circle", name)
}

// isMissing: there is nothing of that name, or there is a directory, as for "refs/heads/a" beside "refs/heads/a/b".
func isMissing(err error) bool {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, file.ErrIsDir) || errors.Is(err, file.ErrNotDir) {
		return true
	}
	return false
}

func (l *Files) fromPacked(name string) (string, error) {
	path := filepath.Join(l.Common, "packed-refs")
	st, err := os.Stat(path)
	if err != nil {
		return "", nil // no packed references
	}
	stamp := fmt.Sprint(st.Size(), st.ModTime().UnixNano(), file.Inode(st))
	if stamp != l.stamp {
		l.packed, l.stamp = map[string]string{}, stamp
	}
	if hash, ok := l.packed[name]; ok {
		return hash, nil
	}
	data, err := l.readPacked(path, st.Size())
	if err != nil {
		return "", err
	}
	hash := ""
	line := []byte(" " + name + "\n")
	if i := bytes.Index(data, line); i >= 40 && (i == 40 || data[i-41] == '\n') {
		hash = string(data[i-40 : i])
	}
	l.packed[name] = hash
	return hash, nil
}

func (l *Files) readPacked(path string, size int64) ([]byte, error) {
	if size > l.Limit {
		return nil, &TooManyError{Path: path, Limit: l.Limit}
	}
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading packed references: %w", err)
	}
	return data, nil
}

// Below gives the ids of all references below a prefix, "refs/tags/", by their full names.
func (l *Files) Below(prefix string) (map[string]string, error) {
	refs := map[string]string{}
	path := filepath.Join(l.Common, "packed-refs")
	if st, err := os.Stat(path); err == nil {
		data, err := l.readPacked(path, st.Size())
		if err != nil {
			return nil, err
		}
		for line := range bytes.Lines(data) {
			id, name, _ := bytes.Cut(bytes.TrimSpace(line), []byte(" "))
			if bytes.HasPrefix(name, []byte(prefix)) && FullID.Match(id) {
				refs[string(name)] = string(id)
			}
		}
	}
	root := filepath.Join(l.Common, filepath.FromSlash(prefix))
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil // a directory that vanished holds no reference
		}
		name := prefix + filepath.ToSlash(strings.TrimPrefix(path, root+string(filepath.Separator)))
		if _, hash, err := l.Read(name); err == nil && hash != "" {
			refs[name] = hash
		}
		return nil
	})
	return refs, err
}
