package forge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// State is what became of a pull request.
type State string

// States of a pull request.
const (
	Open   State = "open"
	Closed State = "closed" // without being merged
	Merged State = "merged"
)

// PullRequest is a pull request, a merge request on GitLab, as the host last saw it.
type PullRequest struct {
	Number int
	// Title, Author and Labels are strangers' text. Labels are sorted.
	Title  string
	Author string
	Labels []string
	State  State
	Draft  bool
	Head   Branch
	// Base is where it wants to go. Its commit is the one of the last change to the pull request, and may be older than the branch.
	Base Branch
	// MergeBase is the last commit of the base in the head's history. Client.PullRequest has it while the pull request is open, unless the host has
	// not found it yet or there is none; in lists only Gitea has it.
	MergeBase string
	// Fork: the head is in another repository than the base, or was until that was deleted.
	Fork bool
	// FetchRef is the reference of the base repository under which the head can be fetched, for forks too.
	FetchRef string
	// URL is its page.
	URL     string
	Updated time.Time
}

// Branch is one side of a pull request.
type Branch struct {
	// Ref is the name of the branch. On Gitea it is refs/pull/N/head once the branch is deleted.
	Ref string
	// Commit is the whole id, or empty when the branch is gone.
	Commit string
	// Repository is its path, and CloneURL its URL over HTTP. Both are empty when the repository is gone; GitLab says neither of a fork.
	Repository string
	CloneURL   string
}

// OpenPullRequests lists the open pull requests by number. That one is missing does not mean that it is closed: while pages are being read, another
// one that closes may move it out of sight. Ask for it by its number.
func (c *Client) OpenPullRequests(ctx context.Context, repo string) ([]PullRequest, error) {
	doing := "listing pull requests of " + repo
	if err := c.checkRepository(doing, repo); err != nil {
		return nil, err
	}
	prs, err := c.host.open(ctx, repo)
	return c.sorted(doing, prs, err)
}

// overlap is how far behind a host's own times can be: Gitea's time of the update comes up to 0.3 s after the head.
const overlap = 5 * time.Second

// ChangedPullRequests lists, by number, pull requests of any state that changed since a time of the host's clock: the latest Updated that was
// seen. It starts a little before that, so some come twice. When nothing changed it costs one request.
func (c *Client) ChangedPullRequests(ctx context.Context, repo string, since time.Time) ([]PullRequest, error) {
	doing := "listing changed pull requests of " + repo
	if err := c.checkRepository(doing, repo); err != nil {
		return nil, err
	}
	if since = since.Add(-overlap); since.Unix() < 0 {
		since = time.Unix(0, 0) // hosts know no year 0
	}
	prs, err := c.host.changed(ctx, repo, since)
	return c.sorted(doing, prs, err)
}

// PullRequest gets one. NotFound means that it never was, or that these credentials may not see it.
func (c *Client) PullRequest(ctx context.Context, repo string, number int) (PullRequest, error) {
	doing := pullName("getting", repo, number)
	if err := c.check(doing, repo, number); err != nil {
		return PullRequest{}, err
	}
	pr, err := c.host.pull(ctx, repo, number)
	prs, err := c.sorted(doing, []PullRequest{pr}, err)
	if err != nil {
		return PullRequest{}, err
	}
	if prs[0].Number != number {
		return PullRequest{}, c.failed(request{doing: doing}, Unexpected, fmt.Errorf("it is number %d", prs[0].Number))
	}
	return prs[0], nil
}

// RemoveLabel takes a label off; it is no error when it is not there.
func (c *Client) RemoveLabel(ctx context.Context, repo string, number int, label string) error {
	doing := pullName("removing a label of", repo, number)
	if err := c.check(doing, repo, number); err != nil {
		return err
	}
	if label == "" || label == "." || label == ".." {
		return c.invalid(doing, "no label has this name")
	}
	return c.host.removeLabel(ctx, repo, number, label)
}

// pullName is how errors name a pull request.
func pullName(doing, repo string, number int) string {
	return fmt.Sprintf("%s pull request %d of %s", doing, number, repo)
}

// sorted orders pull requests and drops those that came twice. One that makes no sense makes the whole answer an error, since
// a list with a hole would be taken for the truth.
func (c *Client) sorted(doing string, prs []PullRequest, err error) ([]PullRequest, error) {
	if err != nil {
		return nil, err
	}
	for _, pr := range prs {
		if err := pr.check(); err != nil {
			return nil, c.failed(request{doing: doing}, Unexpected, err)
		}
		slices.Sort(pr.Labels)
	}
	// of two of the same number the later read comes first
	slices.SortStableFunc(prs, func(a, b PullRequest) int {
		return cmp.Or(cmp.Compare(a.Number, b.Number), b.Updated.Compare(a.Updated))
	})
	return slices.CompactFunc(prs, func(a, b PullRequest) bool { return a.Number == b.Number }), nil
}

func (pr PullRequest) check() error {
	if pr.Number <= 0 {
		return errors.New("a pull request without a number")
	}
	for _, id := range []string{pr.Head.Commit, pr.Base.Commit, pr.MergeBase} {
		if id != "" && !isCommit(id) {
			return fmt.Errorf("pull request %d has a commit %q", pr.Number, shorten(id, 70))
		}
	}
	if pr.State == Open && pr.Base.Ref == "" {
		return fmt.Errorf("pull request %d has no base", pr.Number)
	}
	return nil
}

// Permission is what a user may do with a repository, each including those before it.
type Permission int

// Permissions.
const (
	None Permission = iota
	Read
	Write // may push
	Admin
)

// String is the name.
func (p Permission) String() string {
	switch p {
	case Read:
		return "read"
	case Write:
		return "write"
	case Admin:
		return "admin"
	}
	return "none"
}

// Permission asks what a user may do. Who is not heard of may do nothing. GitHub answers only to who may push, Gitea only to the repository's
// administrators (and to users about themselves). An error is no answer: grant nothing because of it.
func (c *Client) Permission(ctx context.Context, repo, user string) (Permission, error) {
	doing := fmt.Sprintf("asking what %q may do with %s", shorten(user, 64), repo)
	if err := c.checkRepository(doing, repo); err != nil {
		return None, err
	}
	if user == "" || user == "." || user == ".." || strings.ContainsAny(user, "/\\?#%") || len(user) > 255 {
		return None, c.invalid(doing, "no user has this name")
	}
	return c.host.permission(ctx, repo, user)
}

// Commit is a commit's metadata.
type Commit struct {
	ID string
	// Subject is the first line of the message, Author the name in the commit. Anybody can write anything there.
	Subject string
	Author  string
	// Time is the committer's.
	Time    time.Time
	Parents []string
}

// Commit gets a commit by its whole id. NotFound may pass: a hook can be faster than the host.
func (c *Client) Commit(ctx context.Context, repo, id string) (Commit, error) {
	if err := c.checkCommit("getting a commit of "+repo, repo, id); err != nil {
		return Commit{}, err
	}
	return c.host.commit(ctx, repo, id)
}

func subject(message string) string {
	s, _, _ := strings.Cut(strings.TrimLeft(message, "\r\n"), "\n")
	return strings.TrimSpace(s)
}
