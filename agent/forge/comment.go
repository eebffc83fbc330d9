package forge

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Comment is a comment on a pull request as a whole, not on its lines.
type Comment struct {
	ID     int64
	Author string
	// Bot: the host says that the author is a program.
	Bot  bool
	Body string
	// Updated is later than Created when it was edited, by its author or by whoever else may.
	Created, Updated time.Time
}

// commentKey and ownComment are the memory of the comments that are ours.
type commentKey struct {
	repo   string
	number int
	marker string
}

type ownComment struct {
	id   int64
	body [sha256.Size]byte
}

// commentLength is GitHub's bound, in characters, less a reserve.
const commentLength = 65_000

// Comments lists the comments of a pull request that were written or edited since a time, the oldest first; the zero time means all.
func (c *Client) Comments(ctx context.Context, repo string, number int, since time.Time) ([]Comment, error) {
	if err := c.check(pullName("listing comments of", repo, number), repo, number); err != nil {
		return nil, err
	}
	all, err := c.host.listComments(ctx, repo, number, since)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(all, func(a, b Comment) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	})
	all = slices.CompactFunc(all, func(a, b Comment) bool { return a.ID == b.ID })
	return slices.DeleteFunc(all, func(k Comment) bool { return k.Updated.Before(since) }), nil
}

// Comment gets one comment of a pull request by its id. NotFound may also mean that it is one of another pull request.
func (c *Client) Comment(ctx context.Context, repo string, number int, id int64) (Comment, error) {
	doing := pullName("getting a comment of", repo, number)
	if err := c.check(doing, repo, number); err != nil {
		return Comment{}, err
	}
	if id <= 0 {
		return Comment{}, c.invalid(doing, "comments have an id")
	}
	k, err := c.host.comment(ctx, repo, number, id)
	if err == nil && k.ID != id {
		err = c.failed(request{doing: doing}, Unexpected, fmt.Errorf("its id is %d", k.ID))
	}
	return k, err
}

// SetComment makes body, in Markdown, the one comment of ours with a marker: it is written once and then edited in place, and nothing is sent when
// it did not change. The marker is invisible in the page, and is what a comment is found by after a restart: a name of letters, digits, "-", "." and "/".
// The same marker in a comment of somebody else means nothing. Calls for the same comment are to come one after another.
func (c *Client) SetComment(ctx context.Context, repo string, number int, marker, body string) error {
	doing := pullName("commenting on", repo, number)
	if err := c.check(doing, repo, number); err != nil {
		return err
	}
	hidden, ok := hide(marker)
	if !ok {
		return c.invalid(doing, "the marker is not a name")
	}
	body = hidden + "\n" + body
	if len(body) > commentLength && len([]rune(body)) > commentLength {
		return c.invalid(doing, fmt.Sprintf("a comment has at most %d characters", commentLength))
	}
	key, digest := commentKey{repo, number, marker}, sha256.Sum256([]byte(body))
	if own, known := c.rememberedComment(key); known {
		if own.body == digest {
			return nil
		}
		err := c.host.editComment(ctx, repo, number, own.id, body)
		if !isNotFound(err) {
			return c.commented(key, own.id, digest, err)
		}
		c.rememberComment(key, nil) // somebody deleted it: as if it had not been there
	}
	return c.findAndComment(ctx, key, hidden, body)
}

// findAndComment is SetComment without a memory.
func (c *Client) findAndComment(ctx context.Context, key commentKey, hidden, body string) error {
	digest := sha256.Sum256([]byte(body))
	found, err := c.findComment(ctx, key, hidden)
	switch {
	case err != nil:
		return err
	case found == nil:
		id, err := c.host.addComment(ctx, key.repo, key.number, body)
		return c.commented(key, id, digest, err)
	case normalBody(found.Body) == normalBody(body):
		return c.commented(key, found.ID, digest, nil)
	}
	return c.commented(key, found.ID, digest, c.host.editComment(ctx, key.repo, key.number, found.ID, body))
}

// commented remembers what the host has now.
func (c *Client) commented(k commentKey, id int64, digest [sha256.Size]byte, err error) error {
	if err != nil {
		c.rememberComment(k, nil) // it may have arrived all the same
		return err
	}
	c.rememberComment(k, &ownComment{id, digest})
	return nil
}

func isNotFound(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Reason == NotFound
}

// findComment finds our comment: the oldest of our account that begins with the marker.
func (c *Client) findComment(ctx context.Context, k commentKey, hidden string) (*Comment, error) {
	all, err := c.Comments(ctx, k.repo, k.number, time.Time{})
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(k Comment) bool { return !strings.HasPrefix(k.Body, hidden) })
	if len(all) == 0 {
		return nil, nil
	}
	self, err := c.account(ctx)
	if err != nil {
		return nil, err
	}
	for i := range all {
		if self != "" && strings.EqualFold(all[i].Author, self) || self == "" && all[i].Bot {
			return &all[i], nil
		}
	}
	return nil, nil
}

// account is who we are, empty for a GitHub App, which cannot ask.
func (c *Client) account(ctx context.Context) (string, error) {
	c.mu.Lock()
	self := c.self
	c.mu.Unlock()
	if self != "" {
		return self, nil
	}
	var me struct {
		Login    string `json:"login"`
		Username string `json:"username"` // GitLab's
	}
	_, err := c.call(ctx, request{doing: "asking for the account of the token", path: "/user"}, &me)
	var e *Error
	if c.kind == GitHub && errors.As(err, &e) && e.Reason == Forbidden {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	self = me.Login
	if c.kind == GitLab {
		self = me.Username
	}
	if self == "" {
		return "", c.failed(request{doing: "asking for the account of the token"}, Unexpected, errors.New("it has no name"))
	}
	c.mu.Lock()
	c.self = self
	c.mu.Unlock()
	return self, nil
}

func (c *Client) rememberedComment(k commentKey) (ownComment, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.comments.get(k)
}

func (c *Client) rememberComment(k commentKey, own *ownComment) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if own == nil {
		c.comments.drop(k)
		return
	}
	c.comments.put(k, *own)
}

// hide makes the first line of a comment: HTML that no page shows.
func hide(marker string) (string, bool) {
	if marker == "" || len(marker) > 255 || !only(marker, "-./") || strings.Contains(marker, "--") {
		return "", false
	}
	return "<!-- headgate " + marker + " -->", true
}

// normalBody leaves out what hosts change in a text that they store.
func normalBody(s string) string { return strings.TrimSpace(strings.ReplaceAll(s, "\r\n", "\n")) }
