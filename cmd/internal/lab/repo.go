// Package lab is the bench on which the whole program is tried: Git repositories made with the real git, a headgate
// running as a process of its own, requests through its Envoy. Tests and benchmarks share it; the program does not use it.
package lab

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Repo is a Git repository with a work tree.
type Repo struct {
	Dir string
}

// NewRepo makes an empty repository on branch main.
func NewRepo(dir string) (*Repo, error) {
	r := &Repo{Dir: dir}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	_, err := r.Git("init", "-q", "-b", "main", ".")
	return r, err
}

// Git runs git in the repository, with nothing of the user's configuration, and returns what it prints.
func (r *Repo) Git(args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir = r.Dir
	cmd.Env = append(os.Environ(),
		"GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.com",
		"GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.com")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("git %s: %w: %s", strings.Join(args, " "), err, errs.String())
	}
	return strings.TrimSpace(out.String()), nil
}

// Write saves a file; an empty content removes it.
func (r *Repo) Write(name, content string) error {
	path := filepath.Join(r.Dir, filepath.FromSlash(name))
	if content == "" {
		return os.Remove(path)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(content), 0o644)
}

// Commit commits everything that was saved and returns the commit's id.
func (r *Repo) Commit(message string) (string, error) {
	if _, err := r.Git("add", "-A"); err != nil {
		return "", err
	}
	if _, err := r.Git("commit", "-q", "--allow-empty", "-m", message); err != nil {
		return "", err
	}
	return r.Git("rev-parse", "HEAD")
}

// Prepare stages what was saved and makes the commit object without moving the branch, so that Publish, which only
// moves it, marks the moment at which the commit exists.
func (r *Repo) Prepare(message string) (string, error) {
	if _, err := r.Git("add", "-A"); err != nil {
		return "", err
	}
	tree, err := r.Git("write-tree")
	if err != nil {
		return "", err
	}
	return r.Git("commit-tree", tree, "-p", "HEAD", "-m", message)
}

// Publish moves the branch to a prepared commit in one system call, as git does it itself.
func (r *Repo) Publish(commit string) error {
	ref := filepath.Join(r.Dir, ".git", "refs", "heads", "main")
	if err := os.WriteFile(ref+".lock", []byte(commit+"\n"), 0o644); err != nil {
		return err
	}
	return os.Rename(ref+".lock", ref)
}
