package git

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"headgate.dev/agent/git/internal/file"
	"headgate.dev/agent/git/internal/version"
)

// target is what a reference points at.
type target struct {
	hash string
	// ref is the full name of the reference; empty for a bare commit.
	ref string
	// absolute: asked for by its full name, which the revision keeps.
	absolute bool
}

// refName is what Git lets a reference be called, as far as it matters to a file system and a protocol line.
var refName = regexp.MustCompile(`^refs(/[^/\x00-\x20\x7f~^:?*\[\\]+)+$`)

func validRefName(name string) bool {
	return refName.MatchString(name) && !strings.Contains(name, "..") && !strings.Contains(name, "/.") &&
		!strings.HasSuffix(name, ".lock") && !strings.HasSuffix(name, ".")
}

var fullID = regexp.MustCompile(`^[0-9a-f]{40}$`)

// candidates gives the full names a Ref may mean, the most likely first. None for HEAD, a range and a commit.
func (r Ref) candidates() []string {
	switch {
	case r.Commit != "" || r.SemVer != "":
		return nil
	case r.Branch != "":
		return []string{"refs/heads/" + r.Branch}
	case r.Tag != "":
		return []string{"refs/tags/" + r.Tag}
	case strings.HasPrefix(r.Name, "refs/"):
		return []string{r.Name}
	case r.Name != "" && r.Name != "HEAD":
		return []string{"refs/heads/" + r.Name, "refs/tags/" + r.Name}
	}
	return nil
}

func (r Ref) absolute() bool { return strings.HasPrefix(r.Name, "refs/") }

// maybeCommit tells that a short name may also be a commit's id.
func (r Ref) maybeCommit() bool { return r.Name != "" && !r.absolute() && hexID.MatchString(r.Name) }

// localRefs reads the references of a repository on disk, in the files format.
type localRefs struct {
	gitDir, common string
	limit          int64 // bytes of packed-refs

	stamp  string            // of packed-refs, when packed was filled
	packed map[string]string // answers out of packed-refs; "" is "not there"
}

// dirOf gives where a reference lies: each linked work tree has some for itself.
func (l *localRefs) dirOf(name string) string {
	for _, p := range []string{"refs/bisect/", "refs/worktree/", "refs/rewritten/"} {
		if strings.HasPrefix(name, p) {
			return l.gitDir
		}
	}
	if !strings.HasPrefix(name, "refs/") {
		return l.gitDir
	}
	return l.common
}

// read follows a reference to an id: full name of the last reference, id. An id of "" is a reference that does not exist.
func (l *localRefs) read(name string) (ref, hash string, err error) {
	for range 10 {
		if name != "HEAD" && !validRefName(name) {
			return name, "", nil
		}
		data, err := os.ReadFile(filepath.Join(l.dirOf(name), filepath.FromSlash(name)))
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
		case fullID.MatchString(text):
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

func (l *localRefs) fromPacked(name string) (string, error) {
	path := filepath.Join(l.common, "packed-refs")
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

func (l *localRefs) readPacked(path string, size int64) ([]byte, error) {
	if size > l.limit {
		return nil, &TooBigError{What: "reading " + path, Limit: l.limit, Unit: "bytes of references",
			Hint: "delete references that are not needed, or raise the limit"}
	}
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading packed references: %w", err)
	}
	return data, nil
}

// below gives the ids of all references below a prefix, "refs/tags/", by their full names.
func (l *localRefs) below(prefix string) (map[string]string, error) {
	refs := map[string]string{}
	path := filepath.Join(l.common, "packed-refs")
	if st, err := os.Stat(path); err == nil {
		data, err := l.readPacked(path, st.Size())
		if err != nil {
			return nil, err
		}
		for line := range bytes.Lines(data) {
			id, name, _ := bytes.Cut(bytes.TrimSpace(line), []byte(" "))
			if bytes.HasPrefix(name, []byte(prefix)) && fullID.Match(id) {
				refs[string(name)] = string(id)
			}
		}
	}
	root := filepath.Join(l.common, filepath.FromSlash(prefix))
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil // a directory that vanished holds no reference
		}
		name := prefix + filepath.ToSlash(strings.TrimPrefix(path, root+string(filepath.Separator)))
		if _, hash, err := l.read(name); err == nil && hash != "" {
			refs[name] = hash
		}
		return nil
	})
	return refs, err
}

// resolve finds what the Ref means. The id may be a tag's. An ancestor is known by no reference.
func (l *localRefs) resolve(r Ref, o *objects) (target, error) {
	t, err := l.begin(r, o)
	if err != nil || r.Back == "" {
		return t, err
	}
	hash, err := o.ancestor(t.hash, r.Back)
	return target{hash: hash}, err
}

// begin finds where the way back of a Ref begins.
func (l *localRefs) begin(r Ref, o *objects) (target, error) {
	switch {
	case r.Commit != "":
		return l.byID(r.Commit, o)
	case r.SemVer != "":
		tags, err := l.below("refs/tags/")
		if err != nil {
			return target{}, err
		}
		if name, ok := version.Highest(r.SemVer, tags); ok {
			return target{hash: tags[name], ref: name}, nil
		}
		return target{}, &NotFoundError{Ref: "a tag in the range " + r.SemVer}
	}
	names := r.candidates()
	if names == nil {
		return l.head()
	}
	for _, name := range names {
		ref, hash, err := l.read(name)
		if err != nil {
			return target{}, err
		}
		if hash != "" {
			if r.absolute() {
				ref = name
			}
			return target{hash: hash, ref: ref, absolute: r.absolute()}, nil
		}
	}
	if r.maybeCommit() {
		return l.byID(r.Name, o)
	}
	return target{}, &NotFoundError{Ref: strings.Join(names, " or ")}
}

func (l *localRefs) head() (target, error) {
	ref, hash, err := l.read("HEAD")
	switch {
	case err != nil:
		return target{}, err
	case hash == "" && ref != "HEAD":
		return target{}, &NotFoundError{Ref: ref + ", which HEAD names,", Hint: "commit something first, or switch to a branch with commits"}
	case hash == "":
		return target{}, &NotFoundError{Ref: "HEAD"}
	case ref == "HEAD":
		ref = ""
	}
	return target{hash: hash, ref: ref}, nil
}

func (l *localRefs) byID(id string, o *objects) (target, error) {
	if len(id) == 40 {
		return target{hash: id}, nil
	}
	ids, err := o.WithPrefix(id)
	if err != nil {
		return target{}, err
	}
	var commits []string
	for _, h := range ids {
		if c, err := o.commit(h); err == nil && c.Hash == h.String() {
			commits = append(commits, c.Hash)
		}
	}
	slices.Sort(commits)
	switch len(commits) {
	case 0:
		return target{}, &NotFoundError{Ref: "commit " + id}
	case 1:
		return target{hash: commits[0]}, nil
	}
	return target{}, &NotFoundError{Ref: "commit " + id, Hint: "it may be " + strings.Join(commits, " or ") + ": give more digits"}
}
