package agent

import (
	"context"
	"io/fs"

	"headgate.dev/agent/git"
)

// bounded is a tree that cannot be read any more once a context has ended: so a render, which knows no context, ends too.
type bounded struct {
	git.Tree
	ctx context.Context
}

func (b bounded) Open(name string) (fs.File, error) {
	if err := context.Cause(b.ctx); err != nil {
		return nil, err
	}
	return b.Tree.Open(name)
}

func (b bounded) Stat(name string) (fs.FileInfo, error) {
	if err := context.Cause(b.ctx); err != nil {
		return nil, err
	}
	return b.Tree.Stat(name)
}

func (b bounded) ReadDir(name string) ([]fs.DirEntry, error) {
	if err := context.Cause(b.ctx); err != nil {
		return nil, err
	}
	return b.Tree.ReadDir(name)
}

func (b bounded) ReadFile(name string) ([]byte, error) {
	if err := context.Cause(b.ctx); err != nil {
		return nil, err
	}
	return b.Tree.ReadFile(name)
}
