package git

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"
)

// Options are how a repository is opened and watched. Zero fields take the default.
type Options struct {
	// Cache is the directory for the stores of remotes. Required for a remote.
	Cache string
	// Interval is how often Watch hints at a remote. Default one minute.
	Interval time.Duration
	// Jitter gives numbers in [0,1): an interval is lengthened by up to a tenth of itself. Default: none.
	Jitter func() float64
	// After is time.After or a replacement. Default time.After.
	After func(time.Duration) <-chan time.Time
	// Timeout bounds one Resolve of a remote. Default one minute.
	Timeout time.Duration
	// App makes what gets the tokens of a source's GitHub App, from the source as it was opened. The function that it gives is asked each time, and
	// so should keep its token; refused is the one that the server did not take, after which it is asked once more. Nil: no source may have an App.
	App func(Source) (func(ctx context.Context, refused string) (string, error), error)
}

func (o Options) withDefaults() Options {
	o.Interval = cmp.Or(o.Interval, time.Minute)
	o.Timeout = cmp.Or(o.Timeout, time.Minute)
	if o.Jitter == nil {
		o.Jitter = func() float64 { return 0 }
	}
	if o.After == nil {
		o.After = time.After
	}
	return o
}

// Repository is an open source. Its methods may be called from several goroutines; Resolves wait for each other.
type Repository struct {
	options Options // constant
	remote  bool    // constant

	mu     sync.Mutex // guards what follows
	origin origin
	closed bool
}

// origin is where commits come from: a local repository or a remote.
type origin interface {
	resolve(ctx context.Context) (*Commit, error)
	descends(ctx context.Context, hash, ancestor string) (bool, error)
	watch(ctx context.Context, o Options) (<-chan struct{}, error)
	directory() string
	name() string
	close() error
}

// Open opens the repository of a source. It reads no commit and, for a remote, asks nothing of the server.
// Errors: NotFoundError, UnsupportedError, AuthError for credentials that cannot be used, and others for a Source or
// cache that makes no sense.
func Open(src Source, o Options) (*Repository, error) {
	if err := src.Ref.validate(); err != nil {
		return nil, err
	}
	src.Limits = src.Limits.withDefaults()
	r := &Repository{options: o.withDefaults(), remote: IsRemote(src.URL)}
	var err error
	if r.remote {
		r.origin, err = openRemote(src, r.options)
	} else {
		r.origin, err = openLocal(src)
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Resolve gives the commit that the source's reference points at now; the same pointer as long as nothing changed. A
// remote is asked, and fetched from when the reference moved. After an error what was resolved earlier stays usable.
// Errors: NotFoundError, AuthError, TooBigError, UnsupportedError, or the cause of not reaching the server.
func (r *Repository) Resolve(ctx context.Context) (*Commit, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, errors.New("resolving a commit: the repository is closed")
	}
	if !r.remote {
		return r.origin.resolve(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, r.options.Timeout)
	defer cancel()
	return r.origin.resolve(ctx)
}

// Watch gives a hint whenever Resolve may give something else than before: at once when a local reference moves, after
// each interval for a remote. Hints coalesce: one that nobody took stands for all later ones. There may be hints for
// nothing. The channel is closed when ctx ends, and when the repository is gone.
func (r *Repository) Watch(ctx context.Context) (<-chan struct{}, error) {
	return r.origin.watch(ctx, r.options)
}

// Dir is the source's directory inside the tree, slash-separated; "." is the root of the repository.
func (r *Repository) Dir() string { return r.origin.directory() }

// String is the URL without credentials, or the path of the repository's root.
func (r *Repository) String() string { return r.origin.name() }

// Close gives back files and memory. Trees cannot be relied on afterwards.
func (r *Repository) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	r.closed = true
	return r.origin.close()
}
