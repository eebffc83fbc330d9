package forge

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

const (
	maxHook     = 3 << 20 // bytes of a body
	bodies      = 8       // read at the same time
	hookTimeout = 10 * time.Second
	shortestKey = 16 // characters of a path
)

// Hook is a place that hooks may be sent to.
type Hook struct {
	// Name is the caller's; hints and refusals carry it.
	Name string
	// Path is the last part of the URL, at least 16 letters, digits, "-" and "_" that nobody can guess.
	Path string
	Kind Kind
	// Secrets are those that a sender may have, at least one; several while one follows another.
	Secrets []string
}

// PathOf makes the path of the hook of one object from the secret that its sender has: whoever does not know the secret cannot guess the path, and it is the same
// after a restart, on every replica. The secret cannot be found from the path, if it is not one that can be guessed.
func PathOf(secret, namespace, name string) string {
	m := hmac.New(sha256.New, []byte(secret))
	io.WriteString(m, "headgate hook\n"+namespace+"\n"+name) //nolint:errcheck // a digest takes everything
	return hex.EncodeToString(m.Sum(nil))
}

// Receiver takes hooks. It serves HTTP, and gives hints while Run runs; without that, hooks are answered 503.
type Receiver struct {
	// constant
	now      func() time.Time
	refused  func(hook string, status int, why string)
	arrivals chan arrival
	reading  chan struct{} // has room while one more body may be read

	hooks atomic.Pointer[map[[sha256.Size]byte]Hook] // by the digest of the path, so that looking up says nothing about it
}

// ReceiverOptions are optional.
type ReceiverOptions struct {
	// Now is the clock; nil is the machine's.
	Now func() time.Time
	// Refused is told of requests that were not taken, on the request's own goroutine: the Hook's name, empty for a path that there is not, and why, which never
	// has anything of the request in it.
	Refused func(hook string, status int, why string)
}

// NewReceiver makes one without hooks.
func NewReceiver(o ReceiverOptions) *Receiver {
	r := &Receiver{now: o.Now, refused: o.Refused, arrivals: make(chan arrival), reading: make(chan struct{}, bodies)}
	if r.now == nil {
		r.now = time.Now
	}
	if r.refused == nil {
		r.refused = func(string, int, string) {}
	}
	r.hooks.Store(&map[[sha256.Size]byte]Hook{})
	return r
}

// SetHooks replaces all hooks, or none when one of them is wrong.
func (r *Receiver) SetHooks(hooks []Hook) error {
	byPath := make(map[[sha256.Size]byte]Hook, len(hooks))
	for _, h := range hooks {
		if err := h.check(); err != nil {
			return fmt.Errorf("setting up the hook %s: %w", h.Name, err)
		}
		digest := sha256.Sum256([]byte(h.Path))
		if other, taken := byPath[digest]; taken {
			return fmt.Errorf("setting up the hook %s: it has the path of %s", h.Name, other.Name)
		}
		h.Secrets = append([]string(nil), h.Secrets...)
		byPath[digest] = h
	}
	r.hooks.Store(&byPath)
	return nil
}

func (h Hook) check() error {
	if len(h.Path) < shortestKey || !only(h.Path, "-_") {
		return fmt.Errorf("its path must be at least %d letters and digits", shortestKey)
	}
	switch h.Kind {
	case GitHub, Gitea, GitLab, Generic:
	default:
		return fmt.Errorf("its kind must be %s, %s, %s or %s", GitHub, Gitea, GitLab, Generic)
	}
	if len(h.Secrets) == 0 {
		return errors.New("it has no secret")
	}
	for _, s := range h.Secrets {
		if s == "" {
			return errors.New("its secret is empty")
		}
	}
	return nil
}

// Run gives hints until ctx ends. A hint comes 20 ms after the last hook of its repository, in a burst after a second, for a repeated hook not within
// 10 s of the hint before. It is called by one goroutine and should return at once.
func (r *Receiver) Run(ctx context.Context, hint func(Hint)) {
	c := newCoalescer()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		if next, some := c.next(); some {
			timer.Reset(next.Sub(r.now()))
		} else {
			timer.Reset(time.Hour)
		}
		// the end, a hook, or a hint that is due
		select {
		case <-ctx.Done():
			return
		case a := <-r.arrivals:
			c.add(r.now(), a)
		case <-timer.C:
		}
		for _, h := range c.due(r.now()) {
			hint(h)
		}
	}
}

// ServeHTTP takes a hook, at the path "/" + Hook.Path. What costs nothing is checked first, and the body read last. It answers 202 to what it takes and
// to what it has no use for, and says nothing but the status.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	h, known := (*r.hooks.Load())[sha256.Sum256([]byte(strings.TrimPrefix(q.URL.Path, "/")))]
	status, why := http.StatusNotFound, "no such path"
	if known {
		ctx, cancel := context.WithTimeout(q.Context(), hookTimeout)
		defer cancel()
		// A body that never comes must not hold its place. Not every writer has deadlines; the server's own timeouts hold for the others.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(hookTimeout))
		status, why = r.receive(ctx, h, w, q)
	}
	if status != http.StatusAccepted {
		r.refused(h.Name, status, why)
	}
	if status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", http.MethodPost)
	}
	w.WriteHeader(status)
}

func (r *Receiver) receive(ctx context.Context, h Hook, w http.ResponseWriter, q *http.Request) (int, string) {
	media, _, _ := mime.ParseMediaType(q.Header.Get("Content-Type"))
	cred, formed := credentialOf(h.Kind, q.Header)
	switch {
	case q.Method != http.MethodPost:
		return http.StatusMethodNotAllowed, "not a POST"
	case media != "application/json":
		return http.StatusUnsupportedMediaType, "the content is not application/json: choose that where the hook is set up"
	case q.ContentLength > maxHook:
		return http.StatusRequestEntityTooLarge, "longer than 3 MiB"
	case !formed:
		return http.StatusUnauthorized, "no signature or token of its kind"
	case !cred.early(h.Secrets):
		return http.StatusUnauthorized, "not the secret"
	}
	a, status, why := r.read(ctx, h, cred, w, q)
	if status != 0 {
		return status, why
	}
	select {
	case r.arrivals <- a:
		return http.StatusAccepted, ""
	case <-ctx.Done():
		return http.StatusServiceUnavailable, "nobody takes it"
	}
}

// read makes an arrival of the body. Only a few bodies are in memory at a time.
func (r *Receiver) read(ctx context.Context, h Hook, cred credential, w http.ResponseWriter, q *http.Request) (a arrival, status int, why string) {
	select {
	case r.reading <- struct{}{}:
	case <-ctx.Done():
		return a, http.StatusServiceUnavailable, "too many at once"
	}
	defer func() { <-r.reading }()
	body, err := io.ReadAll(http.MaxBytesReader(w, q.Body, maxHook))
	var tooLong *http.MaxBytesError
	switch {
	case errors.As(err, &tooLong):
		return a, http.StatusRequestEntityTooLarge, "longer than 3 MiB"
	case err != nil:
		return a, http.StatusBadRequest, "it ends too early"
	case !cred.good(h.Secrets, body):
		return a, http.StatusUnauthorized, "not the secret"
	}
	event, err := decode(h.Kind, eventName(h.Kind, q.Header), body)
	switch {
	case err != nil:
		return a, http.StatusBadRequest, err.Error()
	case event.Kind == "":
		return a, http.StatusAccepted, "" // of no interest
	}
	digest := sha256.New()
	io.WriteString(digest, h.Path+"\n") //nolint:errcheck // a digest takes everything
	digest.Write(body)
	return arrival{h.Name, event, [sha256.Size]byte(digest.Sum(nil))}, 0, ""
}
