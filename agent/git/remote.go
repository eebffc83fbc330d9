package git

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"

	"headgate.dev/agent/git/internal/wire"
)

// transport carries the protocol, and can be given back.
type transport interface {
	wire.Transport
	// end ends an exchange, close everything.
	end()
	close()
}

// remote is a repository that is polled and fetched from.
type remote struct {
	url    string // shown
	ref    Ref
	limits Limits
	t      transport
	peer   *wire.Peer
	cache  *storeCache

	listings listings
	at       target // what last was found
	last     *Commit
}

func openRemote(src Source, o Options) (*remote, error) {
	u, err := parseURL(src.URL)
	if err != nil {
		return nil, err
	}
	r := &remote{url: display(u), ref: src.Ref, limits: src.Limits}
	if r.ref.Commit != "" && !fullID.MatchString(r.ref.Commit) {
		return nil, fmt.Errorf("opening %s: commit %s: a commit of a remote needs all 40 digits", r.url, r.ref.Commit)
	}
	if o.Cache == "" {
		return nil, fmt.Errorf("opening %s: no cache directory is given to fetch into", r.url)
	}
	var t transport
	if u.Scheme == "ssh" {
		t, err = newSSH(u, src.Auth)
	} else {
		t, err = newHTTP(u, src.Auth)
	}
	if err != nil {
		return nil, err
	}
	r.t, r.peer = t, wire.NewPeer(t, r.wireLimits())
	// A store lacks the blobs above the limit it was fetched with.
	key := sha256.Sum256(fmt.Appendf(nil, "%s\n%d", r.url, r.limits.Blob))
	if r.cache, err = openCache(o.Cache, fmt.Sprintf("%x", key[:8])); err != nil {
		return nil, fmt.Errorf("opening the cache of %s: %w", r.url, err)
	}
	return r, nil
}

func (r *remote) wireLimits() wire.Limits {
	return wire.Limits{
		Refs: r.limits.Refs, Pack: r.limits.Pack, Blob: r.limits.Blob,
		TooManyRefs: &TooBigError{What: "listing the references of " + r.url, Limit: r.limits.Refs, Unit: "bytes",
			Hint: "name the reference in full (\"refs/heads/main\"), so that only it is asked for; a server that speaks only protocol 0 lists all of them anyway: hide some there, or raise the limit"},
		TooBig: &TooBigError{What: "fetching from " + r.url, Limit: r.limits.Pack, Unit: "bytes",
			Hint: "raise the limit, or keep large files elsewhere"},
		WrongFormat: &UnsupportedError{Doing: "asking " + r.url, What: "a repository whose ids are not SHA-1",
			Remedy: "make one with \"git init --object-format=sha1\" and push the files there"},
	}
}

// resolve implements origin.
func (r *remote) resolve(ctx context.Context) (*Commit, error) {
	if r.last != nil && r.at.ref == "" && r.at.hash == r.ref.Commit {
		return r.last, nil // an id never means anything else
	}
	defer r.t.end()
	t, err := r.find(ctx)
	if err != nil {
		return nil, r.explain(ctx, "asking for "+r.ref.String()+" at", err)
	}
	if r.last != nil && t == r.at {
		return r.last, nil
	}
	c, err := r.fetch(ctx, t)
	if err != nil {
		return nil, r.explain(ctx, fmt.Sprintf("fetching %s from", t.hash), err)
	}
	c.Ref, c.Revision = t.ref, revision(c.Hash, t.ref, t.absolute)
	c.Tree = newTree(&committed{objects: r.cache.current.objects, cache: &r.listings, filtered: r.cache.current.filtered}, plumbing.NewHash(c.treeID), c.When, r.limits)
	r.at, r.last = t, c
	return c, nil
}

// explain says what was being done, unless the error says it.
func (r *remote) explain(ctx context.Context, doing string, err error) error {
	var (
		nf *NotFoundError
		au *AuthError
		tb *TooBigError
		us *UnsupportedError
	)
	if errors.As(err, &nf) || errors.As(err, &au) || errors.As(err, &tb) || errors.As(err, &us) {
		return err
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	if strings.Contains(err.Error(), r.url) {
		return err
	}
	return fmt.Errorf("%s %s: %w", doing, r.url, err)
}

// find asks what the Ref means now.
func (r *remote) find(ctx context.Context) (target, error) {
	if r.ref.Commit != "" {
		return target{hash: r.ref.Commit}, nil
	}
	q := wire.Query{Names: r.ref.candidates()}
	switch {
	case r.ref.SemVer != "":
		q.Prefix = "refs/tags/"
	case q.Names == nil:
		q.Names = []string{"HEAD"}
	}
	refs, err := r.peer.List(ctx, q)
	if err != nil {
		return target{}, err
	}
	if r.ref.SemVer != "" {
		return r.findVersion(refs)
	}
	for _, name := range q.Names {
		a, ok := refs[name]
		if !ok {
			continue
		}
		if name == "HEAD" {
			name = a.Symref
		}
		return target{hash: a.Hash, ref: name, absolute: r.ref.absolute()}, nil
	}
	if r.ref.maybeCommit() && fullID.MatchString(r.ref.Name) {
		return target{hash: r.ref.Name}, nil
	}
	hint := ""
	if q.Names[0] == "HEAD" {
		hint = "the repository is empty, or its default branch is: name a branch"
	}
	return target{}, &NotFoundError{Ref: strings.Join(q.Names, " or "), Where: r.url, Hint: hint}
}

func (r *remote) findVersion(refs map[string]wire.Ref) (target, error) {
	ids := maps.Collect(func(yield func(string, string) bool) {
		for name, a := range refs {
			if !yield(name, a.Hash) {
				return
			}
		}
	})
	name, ok := highest(r.ref.SemVer, ids)
	if !ok {
		return target{}, &NotFoundError{Ref: "a tag in the range " + r.ref.SemVer, Where: r.url}
	}
	return target{hash: ids[name], ref: name}, nil
}

// fetch gives the commit, out of the store or from the server.
func (r *remote) fetch(ctx context.Context, t target) (*Commit, error) {
	id := plumbing.NewHash(t.hash)
	if s := r.cache.current; s != nil {
		if c, err := s.objects.commit(id); err == nil && s.has(c.Hash) {
			return c, nil
		}
		if s.fetches() < r.cache.fetches {
			c, err := r.fetchInto(ctx, s, t.hash)
			if err == nil || !worthAfresh(ctx, err) {
				return c, err
			}
			// Some servers cannot build on what we have.
			r.t.end()
			r.peer.Reset()
		}
	}
	s, err := r.cache.fresh()
	if err != nil {
		return nil, err
	}
	c, err := r.fetchInto(ctx, s, t.hash)
	if err != nil {
		return nil, errors.Join(err, s.remove())
	}
	return c, r.cache.use(s)
}

// worthAfresh: an error that a fetch without anything to build on may not have.
func worthAfresh(ctx context.Context, err error) bool {
	var (
		au *AuthError
		tb *TooBigError
		us *UnsupportedError
	)
	return ctx.Err() == nil && !errors.As(err, &au) && !errors.As(err, &tb) && !errors.As(err, &us)
}

func (r *remote) fetchInto(ctx context.Context, s *store, want string) (*Commit, error) {
	have := s.recent()
	p, err := r.peer.Fetch(ctx, want, have)
	if err != nil {
		return nil, r.notOurs(want, err)
	}
	if err := s.add(p, len(have) > 0, r.url); err != nil {
		_ = p.Close() // what matters went wrong before
		return nil, err
	}
	if err := closeAfter(p); err != nil {
		return nil, err
	}
	c, err := s.objects.commit(plumbing.NewHash(want))
	if err != nil {
		return nil, fmt.Errorf("reading commit %s after it was fetched: %w", want, err)
	}
	s.filtered = s.filtered || r.peer.Filters()
	return c, s.done(c.Hash)
}

// closeAfter reads what is left, so that a connection can be used again.
func closeAfter(p io.ReadCloser) error {
	_, err := io.Copy(io.Discard, io.LimitReader(p, 1<<16))
	return errors.Join(err, p.Close())
}

// notOurs recognises a server that does not have, or does not give away, a commit.
func (r *remote) notOurs(want string, err error) error {
	var se wire.ServerError
	if errors.As(err, &se) && strings.Contains(string(se), "not our ref") {
		return &NotFoundError{Ref: "commit " + want, Where: r.url,
			Hint: "the server has no such commit, or only gives commits that a branch or tag points at"}
	}
	return err
}

func (r *remote) watch(ctx context.Context, o Options) (<-chan struct{}, error) {
	return poll(ctx, o), nil
}

func (r *remote) directory() string { return "." }
func (r *remote) name() string      { return r.url }
func (r *remote) close() error {
	r.t.close()
	return r.cache.close()
}
