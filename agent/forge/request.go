package forge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	maxAnswer  = 16 << 20 // bytes of one answer
	pageSize   = 50       // what Gitea allows unless it is configured otherwise
	maxEntries = 5000     // of a list
)

// request is one request to the API.
type request struct {
	doing  string // for errors
	method string // empty: GET
	path   string // below the API's root, escaped
	query  url.Values
	body   any // nil: none; otherwise sent as JSON
}

// answer is what came back. It is constant, and may be in the cache.
type answer struct {
	etag  string
	next  bool // there is a page after this one
	total int  // entries of the whole list, -1 when the host does not say
	body  []byte
}

// call sends a request, and reads the answer into out unless that is nil.
func (c *Client) call(ctx context.Context, q request, out any) (*answer, error) {
	if q.method == "" {
		q.method = http.MethodGet
	}
	target := q.path
	if len(q.query) > 0 {
		target += "?" + q.query.Encode()
	}
	a, err := c.authorised(ctx, q, target)
	if err != nil || out == nil {
		return a, err
	}
	if err := json.Unmarshal(a.body, out); err != nil {
		return nil, c.failed(q, Unexpected, fmt.Errorf("not the JSON it should be: %.120q", err.Error()))
	}
	return a, nil
}

// authorised sends it with a token, and once more if the host refuses that one and there is another.
func (c *Client) authorised(ctx context.Context, q request, target string) (*answer, error) {
	if c.token == nil {
		return c.send(ctx, q, target, "")
	}
	token, err := c.token(ctx, "")
	if err != nil {
		return nil, c.failed(q, Unauthorized, fmt.Errorf("getting a token: %w", err))
	}
	a, refusal := c.send(ctx, q, target, token)
	var e *Error
	if !errors.As(refusal, &e) || e.Status != http.StatusUnauthorized {
		return a, refusal
	}
	other, err := c.token(ctx, token)
	if err != nil {
		return nil, c.failed(q, Unauthorized, fmt.Errorf("getting another token: %w", err))
	}
	if other == token {
		return nil, refusal
	}
	return c.send(ctx, q, target, other)
}

func (c *Client) failed(q request, r Reason, err error) *Error {
	return &Error{Reason: r, Doing: q.doing, Host: c.web.Host, Err: err}
}

// send sends it once.
func (c *Client) send(ctx context.Context, q request, target, token string) (*answer, error) {
	c.mu.Lock()
	until := c.limits.until
	cached, _ := c.pages.get(target)
	c.mu.Unlock()
	if c.now().Before(until) {
		e := c.failed(q, RateLimited, errors.New("not asked"))
		e.Until = until
		return nil, e
	}
	if q.method != http.MethodGet {
		cached = nil
	}
	res, body, err := c.exchange(ctx, q, target, token, cached)
	if err != nil {
		return nil, err
	}
	if limited, until := c.counted(res, body); limited {
		e := c.refusal(q, res.StatusCode, body, token)
		e.Reason, e.Until = RateLimited, until
		return nil, e
	}
	switch {
	case res.StatusCode == http.StatusNotModified && cached != nil:
		return cached, nil
	case res.StatusCode < 200 || res.StatusCode > 299:
		return nil, c.refusal(q, res.StatusCode, body, token)
	case len(body) > maxAnswer:
		return nil, c.failed(q, Unexpected, fmt.Errorf("longer than %d MiB", maxAnswer>>20))
	}
	return c.keep(q, target, res, body), nil
}

// exchange sends it and reads the whole answer, conditionally on cached unless that is nil.
func (c *Client) exchange(ctx context.Context, q request, target, token string, cached *answer) (*http.Response, []byte, error) {
	hr, err := c.newRequest(ctx, q, target, token)
	if err != nil {
		return nil, nil, c.failed(q, Invalid, err)
	}
	if cached != nil {
		hr.Header.Set("If-None-Match", cached.etag)
	}
	res, err := c.http.Do(hr)
	if err != nil {
		return nil, nil, c.unanswered(q, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return nil, nil, c.failed(q, Unavailable, fmt.Errorf("reading the answer: %w", err))
	}
	return res, body, nil
}

func (c *Client) newRequest(ctx context.Context, q request, target, token string) (*http.Request, error) {
	var body io.Reader
	if q.body != nil {
		text, err := json.Marshal(q.body)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
	}
	hr, err := http.NewRequestWithContext(ctx, q.method, c.api+target, body)
	if err != nil {
		return nil, errors.New("its address is not one that can be asked")
	}
	h := hr.Header
	h.Set("User-Agent", "headgate") // GitHub answers nobody without one
	h.Set("Accept", "application/json")
	if c.kind == GitHub {
		h.Set("Accept", "application/vnd.github+json")
		h.Set("X-GitHub-Api-Version", "2022-11-28")
	}
	if body != nil {
		h.Set("Content-Type", "application/json")
	}
	if token != "" {
		h.Set("Authorization", "Bearer "+token)
	}
	return hr, nil
}

// counted notes the limits that an answer tells of.
func (c *Client) counted(res *http.Response, body []byte) (refused bool, until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	refused = c.limits.answer(c.now(), res, body)
	return refused, c.limits.until
}

// keep makes an answer, which is kept when the host can be asked whether it changed.
func (c *Client) keep(q request, target string, res *http.Response, body []byte) *answer {
	a := &answer{etag: res.Header.Get("ETag"), next: hasNext(res.Header), total: -1, body: body}
	if n, err := strconv.Atoi(first(res.Header, "X-Total-Count", "X-Total")); err == nil && n >= 0 {
		a.total = n
	}
	if a.etag != "" && q.method == http.MethodGet {
		c.mu.Lock()
		c.pages.put(target, a)
		c.mu.Unlock()
	}
	return a
}

// refusal makes an error of an answer that is none.
func (c *Client) refusal(q request, status int, body []byte, token string) *Error {
	e := c.failed(q, Unexpected, nil)
	e.Status = status
	switch {
	case status == http.StatusUnauthorized:
		e.Reason = Unauthorized
	case status == http.StatusForbidden:
		e.Reason = Forbidden
	case status == http.StatusNotFound || status == http.StatusGone:
		e.Reason = NotFound
	case status == http.StatusRequestTimeout || status >= 500:
		e.Reason = Unavailable
	case status >= 400:
		e.Reason = Invalid
	}
	if text := said(body, token); text != "" {
		e.Err = hostError{text}
	}
	return e
}

// hostError is what a host says about a refusal.
type hostError struct{ text string }

func (e hostError) Error() string { return fmt.Sprintf("it says %q", e.text) }

// said takes the message out of the body of a refusal: one short text, without the token if a host should echo it.
func said(body []byte, token string) string {
	var m struct {
		Message          any    `json:"message"`
		Error            any    `json:"error"`
		ErrorDescription string `json:"error_description"`
	}
	if json.Unmarshal(body, &m) != nil {
		return ""
	}
	text := m.ErrorDescription
	for _, v := range []any{m.Message, m.Error} {
		if text == "" && v != nil {
			text = fmt.Sprint(v)
		}
	}
	if token != "" {
		text = strings.ReplaceAll(text, token, "***")
	}
	return shorten(text, 200)
}

func (c *Client) unanswered(q request, err error) error {
	var elsewhere *redirectError
	if errors.As(err, &elsewhere) {
		return c.failed(q, Unexpected, elsewhere)
	}
	var u *url.Error // says the whole URL
	if errors.As(err, &u) {
		err = u.Err
	}
	return c.failed(q, Unavailable, err)
}

// redirectError is a redirect that is not followed.
type redirectError struct{ to, why string }

func (e *redirectError) Error() string {
	return fmt.Sprintf("a redirect to %q is not followed: %s", shorten(e.to, 100), e.why)
}

// checkRedirect lets a host rename a repository. Nothing is sent to another host, and nothing written becomes a question.
func checkRedirect(to *http.Request, via []*http.Request) error {
	from := via[0]
	switch {
	case to.URL.Host != from.URL.Host || to.URL.Scheme != from.URL.Scheme:
		return &redirectError{to.URL.Scheme + "://" + to.URL.Host, "if that is where the host is now, use that URL"}
	case to.Method != from.Method:
		return &redirectError{to.URL.Path, "the request would be another one"}
	case len(via) >= 5:
		return &redirectError{to.URL.Path, "there were five before it"}
	}
	return nil
}

// hasNext looks for RFC 8288's rel="next", which all kinds send. The URL in it is not used: pages are counted here.
func hasNext(h http.Header) bool {
	for _, value := range h.Values("Link") {
		for link := range strings.SplitSeq(value, ",") {
			_, params, _ := strings.Cut(link, ">")
			for p := range strings.SplitSeq(params, ";") {
				if k, v, _ := strings.Cut(strings.TrimSpace(p), "="); k == "rel" && strings.Trim(v, `"`) == "next" {
					return true
				}
			}
		}
	}
	return false
}

// listAll gets all pages of a list, or those up to the first of which enough is true. It is either whole or an error.
func listAll[T any](ctx context.Context, c *Client, q request, enough func([]T) bool) ([]T, error) {
	var all []T
	if q.query == nil {
		q.query = url.Values{}
	}
	size := "per_page"
	if c.kind == Gitea {
		size = "limit"
	}
	q.query.Set(size, strconv.Itoa(c.pageSize))
	for page := 1; ; page++ {
		q.query.Set("page", strconv.Itoa(page))
		var entries []T
		a, err := c.call(ctx, q, &entries)
		if err != nil {
			return nil, err
		}
		if entries == nil {
			return nil, c.failed(q, Unexpected, errors.New("not a list"))
		}
		all = append(all, entries...)
		more := a.next || len(all) < a.total
		switch {
		case enough != nil && enough(entries), !more:
			return all, nil
		case len(all) > maxEntries:
			return nil, c.failed(q, Unexpected, fmt.Errorf("a list of more than %d", maxEntries))
		case len(entries) == 0:
			return nil, c.failed(q, Unexpected, fmt.Errorf("the list ends after %d, and should not", len(all)))
		}
	}
}

// shorten cuts s to n characters.
func shorten(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}
