package forge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"time"
)

// hub is the API of GitHub, and of Gitea, which took it over with differences. What differs is in the dialect.
type hub struct {
	*Client
	dialect
}

// dialect is where GitHub and Gitea part.
type dialect struct {
	// openOrder lists pull requests from the oldest, so that new ones do not move the pages.
	openOrder url.Values
	// changed lists pull requests that changed.
	changed func(ctx context.Context, h hub, repo string, since time.Time) ([]PullRequest, error)
	// mergeBase finds it where a pull request does not say it.
	mergeBase func(ctx context.Context, h hub, repo string, pr PullRequest) (string, error)
	// removeLabel takes a label off.
	removeLabel func(ctx context.Context, h hub, repo string, number int, label string) error
	// checks lists check runs.
	checks func(ctx context.Context, h hub, repo, commit string) ([]Status, error)
	// commitQuery leaves out of a commit what is not needed.
	commitQuery url.Values
}

type hubRepository struct {
	FullName string `json:"full_name"`
	CloneURL string `json:"clone_url"`
}

type hubBranch struct {
	Ref  string         `json:"ref"`
	SHA  string         `json:"sha"`
	Repo *hubRepository `json:"repo"`
}

type hubUser struct {
	Login string `json:"login"`
	Type  string `json:"type"`
}

type hubLabel struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
}

type hubPull struct {
	Number    int        `json:"number"`
	Title     string     `json:"title"`
	State     string     `json:"state"`
	Draft     bool       `json:"draft"`
	Merged    bool       `json:"merged"`
	MergedAt  *time.Time `json:"merged_at"`
	HTMLURL   string     `json:"html_url"`
	User      *hubUser   `json:"user"`
	Labels    []hubLabel `json:"labels"`
	Head      hubBranch  `json:"head"`
	Base      hubBranch  `json:"base"`
	MergeBase string     `json:"merge_base"` // Gitea's
	UpdatedAt time.Time  `json:"updated_at"`
}

func (p hubPull) pullRequest() PullRequest {
	pr := PullRequest{Number: p.Number, Title: p.Title, Draft: p.Draft, Head: p.Head.branch(), Base: p.Base.branch(), MergeBase: p.MergeBase,
		State: Closed, URL: p.HTMLURL, Updated: p.UpdatedAt, FetchRef: fmt.Sprintf("refs/pull/%d/head", p.Number)}
	switch {
	case p.Merged || p.MergedAt != nil:
		pr.State = Merged
	case p.State == "open":
		pr.State = Open
	}
	if p.User != nil {
		pr.Author = p.User.Login
	}
	for _, l := range p.Labels {
		pr.Labels = append(pr.Labels, l.Name)
	}
	// A head whose repository is gone was somebody else's.
	pr.Fork = pr.Head.Repository == "" || pr.Head.Repository != pr.Base.Repository
	return pr
}

func (b hubBranch) branch() Branch {
	r := Branch{Ref: b.Ref, Commit: b.SHA}
	if b.Repo != nil {
		r.Repository, r.CloneURL = b.Repo.FullName, b.Repo.CloneURL
	}
	return r
}

func pullRequests(ps []hubPull) []PullRequest {
	prs := make([]PullRequest, 0, len(ps))
	for _, p := range ps {
		prs = append(prs, p.pullRequest())
	}
	return prs
}

func (h hub) repo(repo, rest string) string { return "/repos/" + escaped(repo) + rest }

func (h hub) open(ctx context.Context, repo string) ([]PullRequest, error) {
	query := url.Values{"state": {"open"}}
	for k, v := range h.openOrder {
		query[k] = v
	}
	ps, err := listAll[hubPull](ctx, h.Client, request{doing: "listing pull requests of " + repo, path: h.repo(repo, "/pulls"), query: query}, nil)
	return pullRequests(ps), err
}

func (h hub) changed(ctx context.Context, repo string, since time.Time) ([]PullRequest, error) {
	return h.dialect.changed(ctx, h, repo, since)
}

func (h hub) pull(ctx context.Context, repo string, number int) (PullRequest, error) {
	var p hubPull
	q := request{doing: pullName("getting", repo, number), path: h.repo(repo, "/pulls/"+strconv.Itoa(number))}
	if _, err := h.call(ctx, q, &p); err != nil {
		return PullRequest{}, err
	}
	pr := p.pullRequest()
	if pr.State != Open || pr.MergeBase != "" || pr.Head.Commit == "" {
		return pr, nil
	}
	var err error
	pr.MergeBase, err = h.mergeBase(ctx, h, repo, pr)
	return pr, err
}

func (h hub) removeLabel(ctx context.Context, repo string, number int, label string) error {
	return h.dialect.removeLabel(ctx, h, repo, number, label)
}

type hubStatus struct {
	ID          int64  `json:"id"`
	Context     string `json:"context"`
	State       string `json:"state"`  // GitHub's
	Status      string `json:"status"` // Gitea's
	Description string `json:"description"`
	TargetURL   string `json:"target_url"`
}

func (h hub) listStatuses(ctx context.Context, repo, commit string) ([]Status, error) {
	q := request{doing: "listing the statuses of " + commit + " in " + repo, path: h.repo(repo, "/commits/"+commit+"/statuses")}
	ss, err := listAll[hubStatus](ctx, h.Client, q, nil)
	// Their times are of seconds, and the names of Gitea's orders mean the contrary.
	slices.SortFunc(ss, func(a, b hubStatus) int { return cmp.Compare(b.ID, a.ID) })
	all := make([]Status, 0, len(ss))
	for _, s := range ss {
		all = append(all, Status{s.Context, stateOf(s.State + s.Status), s.Description, s.TargetURL})
	}
	return all, err
}

func (h hub) listChecks(ctx context.Context, repo, commit string) ([]Status, error) {
	return h.checks(ctx, h, repo, commit)
}

func (h hub) setStatus(ctx context.Context, repo, commit string, s Status) error {
	body := map[string]string{"state": string(s.State), "context": s.Context, "description": s.Description, "target_url": s.URL}
	q := request{doing: "setting the status of " + commit + " in " + repo, method: http.MethodPost, path: h.repo(repo, "/statuses/"+commit), body: body}
	_, err := h.call(ctx, q, nil)
	return err
}

type hubComment struct {
	ID        int64     `json:"id"`
	Body      string    `json:"body"`
	User      *hubUser  `json:"user"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
	// IssueURL ends in the number of what it is on; on Gitea PullURL does, and IssueURL is empty.
	IssueURL string `json:"issue_url"`
	PullURL  string `json:"pull_request_url"`
}

func (k hubComment) comment() Comment {
	r := Comment{ID: k.ID, Body: k.Body, Created: k.CreatedAt, Updated: k.UpdatedAt}
	if k.User != nil {
		r.Author, r.Bot = k.User.Login, k.User.Type == "Bot"
	}
	return r
}

func (h hub) comment(ctx context.Context, repo string, number int, id int64) (Comment, error) {
	var k hubComment
	q := request{doing: pullName("getting a comment of", repo, number), path: h.repo(repo, fmt.Sprintf("/issues/comments/%d", id))}
	if _, err := h.call(ctx, q, &k); err != nil {
		return Comment{}, err
	}
	if at := cmp.Or(k.PullURL, k.IssueURL); path.Base(at) != strconv.Itoa(number) {
		return Comment{}, h.failed(q, NotFound, errors.New("it is of another one"))
	}
	return k.comment(), nil
}

func (h hub) listComments(ctx context.Context, repo string, number int, since time.Time) ([]Comment, error) {
	q := request{doing: pullName("listing comments of", repo, number), path: h.repo(repo, fmt.Sprintf("/issues/%d/comments", number)), query: url.Values{}}
	if !since.IsZero() {
		q.query.Set("since", since.UTC().Format(time.RFC3339))
	}
	ks, err := listAll[hubComment](ctx, h.Client, q, nil)
	all := make([]Comment, 0, len(ks))
	for _, k := range ks {
		all = append(all, k.comment())
	}
	return all, err
}

func (h hub) addComment(ctx context.Context, repo string, number int, body string) (int64, error) {
	var k hubComment
	q := request{doing: pullName("commenting on", repo, number), method: http.MethodPost,
		path: h.repo(repo, fmt.Sprintf("/issues/%d/comments", number)), body: map[string]string{"body": body}}
	_, err := h.call(ctx, q, &k)
	return k.ID, err
}

func (h hub) editComment(ctx context.Context, repo string, number int, id int64, body string) error {
	q := request{doing: pullName("editing a comment on", repo, number), method: http.MethodPatch,
		path: h.repo(repo, fmt.Sprintf("/issues/comments/%d", id)), body: map[string]string{"body": body}}
	_, err := h.call(ctx, q, nil)
	return err
}

func (h hub) permission(ctx context.Context, repo, user string) (Permission, error) {
	var p struct {
		Permission string `json:"permission"`
	}
	q := request{doing: fmt.Sprintf("asking what %q may do with %s", user, repo), path: h.repo(repo, "/collaborators/"+url.PathEscape(user)+"/permission")}
	if _, err := h.call(ctx, q, &p); err != nil {
		return None, err
	}
	// GitHub says write for its maintainers and read for those who triage.
	switch p.Permission {
	case "admin", "owner":
		return Admin, nil
	case "write":
		return Write, nil
	case "read":
		return Read, nil
	}
	return None, nil
}

type hubCommit struct {
	SHA     string `json:"sha"`
	Parents []struct {
		SHA string `json:"sha"`
	} `json:"parents"`
	hubCommitText
	Commit hubCommitText `json:"commit"` // Gitea's is one deeper
}

type hubCommitText struct {
	Message string `json:"message"`
	Author  struct {
		Name string `json:"name"`
	} `json:"author"`
	Committer struct {
		Date time.Time `json:"date"`
	} `json:"committer"`
}

func (h hub) commit(ctx context.Context, repo, id string) (Commit, error) {
	var k hubCommit
	q := request{doing: "getting commit " + id + " of " + repo, path: h.repo(repo, "/git/commits/"+id), query: h.commitQuery}
	if _, err := h.call(ctx, q, &k); err != nil {
		return Commit{}, err
	}
	text := k.hubCommitText
	if h.kind == Gitea {
		text = k.Commit
	}
	r := Commit{ID: k.SHA, Subject: subject(text.Message), Author: text.Author.Name, Time: text.Committer.Date}
	for _, p := range k.Parents {
		r.Parents = append(r.Parents, p.SHA)
	}
	if r.ID != id || slices.ContainsFunc(r.Parents, func(p string) bool { return !isCommit(p) }) {
		return Commit{}, h.failed(q, Unexpected, fmt.Errorf("it is called %q", shorten(r.ID, 70)))
	}
	return r, nil
}
