package git

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
	"github.com/go-git/go-git/v5/plumbing/transport"

	"headgate.dev/agent/git/internal/version"
)

// peer is the other end of a remote.
type peer interface {
	// open begins an exchange, which the context ends at the latest.
	open(ctx context.Context) (session, error)
	close()
}

// session is one exchange with a server: its references, then at most one pack.
type session interface {
	AdvertisedReferencesContext(ctx context.Context) (*packp.AdvRefs, error)
	UploadPack(ctx context.Context, q *packp.UploadPackRequest) (io.ReadCloser, error)
	Close() error
}

// remote is a repository that is polled and fetched from.
type remote struct {
	url    string // shown
	ref    Ref
	limits Limits
	peer   peer
	cache  *storeCache

	// of the exchange that has begun, if any
	session session
	refs    *packp.AdvRefs

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
	if r.ref.Back != "" {
		return nil, &UnsupportedError{Doing: "opening " + r.url, What: r.ref.String() + " of a remote, which is fetched without history,",
			Remedy: "name a branch, a tag or a commit, or use a clone"}
	}
	if o.Cache == "" {
		return nil, fmt.Errorf("opening %s: no cache directory is given to fetch into", r.url)
	}
	if r.peer, err = newPeer(u, src, o); err != nil {
		return nil, err
	}
	// A store lacks the blobs above the limit it was fetched with.
	key := sha256.Sum256(fmt.Appendf(nil, "%s\n%d", r.url, r.limits.Blob))
	if r.cache, err = openCache(o.Cache, fmt.Sprintf("%x", key[:8])); err != nil {
		return nil, fmt.Errorf("opening the cache of %s: %w", r.url, err)
	}
	return r, nil
}

func newPeer(u *url.URL, src Source, o Options) (peer, error) {
	b := bounds{url: display(u), refs: src.Limits.Refs, pack: src.Limits.Pack}
	proxy, err := src.Proxy.parse(u)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", b.url, err)
	}
	if u.Scheme == "ssh" {
		return newSSH(u, src.Auth, proxy, b)
	}
	if src.Auth.App != nil && o.App == nil {
		return nil, &UnsupportedError{Doing: "opening " + b.url, What: "a GitHub App", Remedy: "use a token"}
	}
	t, err := newHTTP(u, src.Auth, proxy, b)
	if err != nil || src.Auth.App == nil {
		return t, err
	}
	if t.token, err = o.App(src); err != nil {
		return nil, &AuthError{URL: b.url, Err: err}
	}
	return t, nil
}

// resolve implements origin.
func (r *remote) resolve(ctx context.Context) (*Commit, error) {
	if r.last != nil && r.at.ref == "" && r.at.hash == r.ref.Commit {
		return r.last, nil // an id never means anything else
	}
	defer r.end()
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
	r.dress(c, t)
	r.at, r.last = t, c
	return c, nil
}

// dress gives a commit that was just fetched its name and its tree.
func (r *remote) dress(c *Commit, t target) {
	c.Ref, c.Revision = t.ref, revision(c.Hash, t.ref, t.absolute)
	c.Tree = newTree(&committed{objects: r.cache.current.objects, cache: &r.listings, filtered: r.cache.current.filtered}, plumbing.NewHash(c.treeID), c.When, r.limits)
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

// advertised begins an exchange, if none has begun, and gives what the server says first.
func (r *remote) advertised(ctx context.Context) (*packp.AdvRefs, error) {
	if r.session != nil {
		return r.refs, nil
	}
	var err error
	if r.session, err = r.peer.open(ctx); err != nil {
		r.session = nil
		return nil, err
	}
	r.refs, err = r.session.AdvertisedReferencesContext(ctx)
	var (
		unexpected *packp.ErrUnexpectedData
		said       *pktline.ErrorLine
	)
	switch {
	case err == nil:
		return r.refs, nil
	case errors.Is(err, transport.ErrEmptyRemoteRepository):
		r.refs = packp.NewAdvRefs()
		return r.refs, nil
	case errors.As(err, &said):
		err = fmt.Errorf("the server says %q", said.Text)
	case errors.As(err, &unexpected) && bytes.Contains(unexpected.Data, []byte("object-format=sha256")):
		err = &UnsupportedError{Doing: "asking " + r.url, What: "a repository whose ids are not SHA-1",
			Remedy: "make one with \"git init --object-format=sha1\" and push the files there"}
	case errors.As(err, &unexpected):
		err = fmt.Errorf("the answer is not Git's protocol: %s", unexpected.Msg) // its data may be a whole page
	case errors.Is(err, packp.ErrEmptyInput), errors.Is(err, pktline.ErrInvalidPktLen):
		err = fmt.Errorf("the answer is not Git's protocol: %w", err)
	}
	r.end()
	return nil, err
}

// end ends an exchange.
func (r *remote) end() {
	if r.session != nil {
		_ = r.session.Close() // nothing of it is needed any more
		r.session, r.refs = nil, nil
	}
}

// find asks what the Ref means now.
func (r *remote) find(ctx context.Context) (target, error) {
	if r.ref.Commit != "" {
		return target{hash: r.ref.Commit}, nil
	}
	refs, err := r.advertised(ctx)
	if err != nil {
		return target{}, err
	}
	if r.ref.SemVer != "" {
		return r.findVersion(refs)
	}
	names := r.ref.candidates()
	for _, name := range names {
		if id, ok := refs.References[name]; ok {
			return target{hash: id.String(), ref: name, absolute: r.ref.absolute()}, nil
		}
	}
	switch {
	case names == nil && refs.Head != nil:
		return target{hash: refs.Head.String(), ref: headOf(refs)}, nil
	case names == nil:
		return target{}, &NotFoundError{Ref: "HEAD", Where: r.url,
			Hint: "the repository is empty, or its default branch is: name a branch"}
	case r.ref.maybeCommit() && fullID.MatchString(r.ref.Name):
		return target{hash: r.ref.Name}, nil
	}
	return target{}, &NotFoundError{Ref: strings.Join(names, " or "), Where: r.url}
}

// headOf gives the branch that HEAD names; empty where it names none.
func headOf(refs *packp.AdvRefs) string {
	for _, s := range refs.Capabilities.Get(capability.SymRef) {
		if name, ok := strings.CutPrefix(s, "HEAD:"); ok {
			return name
		}
	}
	return ""
}

func (r *remote) findVersion(refs *packp.AdvRefs) (target, error) {
	tags := map[string]string{}
	for name, id := range refs.References {
		if strings.HasPrefix(name, "refs/tags/") {
			tags[name] = id.String()
		}
	}
	name, ok := version.Highest(r.ref.SemVer, tags)
	if !ok {
		return target{}, &NotFoundError{Ref: "a tag in the range " + r.ref.SemVer, Where: r.url}
	}
	return target{hash: tags[name], ref: name}, nil
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
			r.end()
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
	refs, err := r.advertised(ctx)
	if err != nil {
		return nil, err
	}
	have := s.recent()
	q, err := r.request(refs.Capabilities, want, have)
	if err != nil {
		return nil, err
	}
	answer, err := r.session.UploadPack(ctx, q)
	if err != nil {
		return nil, r.notOurs(want, err)
	}
	err = s.add(packIn(q, answer), len(have) > 0, r.url)
	if closed := answer.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return nil, err
	}
	c, err := s.objects.commit(plumbing.NewHash(want))
	if err != nil {
		return nil, fmt.Errorf("reading commit %s after it was fetched: %w", want, err)
	}
	s.filtered = s.filtered || q.Filter != ""
	return c, s.done(c.Hash)
}

// request asks for one object with all it needs except history, and except what the commits in have need.
//
// go-git hides whether a server has two capabilities, which therefore are asked for unseen; one that does not know them
// ignores them. Of a shallow history only a thin pack leaves out what we have. Without multi_ack_detailed some servers
// (Azure DevOps) answer no one; with one batch of haves and "done" right after it, it only adds lines that go-git skips.
func (r *remote) request(server *capability.List, want string, have []string) (*packp.UploadPackRequest, error) {
	q := packp.NewUploadPackRequestFromCapabilities(server)
	caps := []capability.Capability{capability.Shallow, capability.MultiACKDetailed}
	if len(have) > 0 {
		caps = append(caps, capability.ThinPack)
	}
	for _, c := range []capability.Capability{capability.NoProgress, capability.Filter} {
		if server.Supports(c) {
			caps = append(caps, c)
		}
	}
	for _, c := range caps {
		if err := q.Capabilities.Set(c); err != nil {
			return nil, fmt.Errorf("asking for %s: %w", c, err)
		}
	}
	if server.Supports(capability.Filter) {
		q.Filter = packp.FilterBlobLimit(uint64(r.limits.Blob)+1, packp.BlobLimitPrefixNone)
	}
	q.Wants, q.Depth = []plumbing.Hash{plumbing.NewHash(want)}, packp.DepthCommits(1)
	for _, h := range have {
		q.Shallows = append(q.Shallows, plumbing.NewHash(h))
	}
	q.Haves = slices.Clone(q.Shallows)
	return q, nil
}

// packIn is the pack inside an answer.
func packIn(q *packp.UploadPackRequest, answer io.Reader) io.Reader {
	switch {
	case q.Capabilities.Supports(capability.Sideband64k):
		return sideband.NewDemuxer(sideband.Sideband64k, answer)
	case q.Capabilities.Supports(capability.Sideband):
		return sideband.NewDemuxer(sideband.Sideband, answer)
	}
	return answer
}

// notOurs recognises a server that does not have, or does not give away, a commit.
func (r *remote) notOurs(want string, err error) error {
	if strings.Contains(err.Error(), "not our ref") { // go-git gives no more than the text
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
	r.peer.close()
	return r.cache.close()
}
