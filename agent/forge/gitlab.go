package forge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// lab is the API of GitLab.
type lab struct{ *Client }

func (l lab) project(repo, rest string) string { return "/projects/" + url.PathEscape(repo) + rest }

func (l lab) merge(repo string, number int, rest string) string {
	return l.project(repo, fmt.Sprintf("/merge_requests/%d%s", number, rest))
}

type labPull struct {
	IID             int       `json:"iid"`
	Title           string    `json:"title"`
	State           string    `json:"state"`
	Draft           bool      `json:"draft"`
	WorkInProgress  bool      `json:"work_in_progress"` // before 14.8
	WebURL          string    `json:"web_url"`
	Author          labUser   `json:"author"`
	Labels          []string  `json:"labels"`
	SourceBranch    string    `json:"source_branch"`
	TargetBranch    string    `json:"target_branch"`
	SourceProjectID int64     `json:"source_project_id"` // null when that is gone
	TargetProjectID int64     `json:"target_project_id"`
	SHA             string    `json:"sha"`
	UpdatedAt       time.Time `json:"updated_at"`
	DiffRefs        *struct {
		BaseSHA  string `json:"base_sha"`
		StartSHA string `json:"start_sha"`
	} `json:"diff_refs"` // only of a single one, and null until the host has made it
}

type labUser struct {
	ID       int64  `json:"id"`
	Username string `json:"username"`
}

func (p labPull) pullRequest(repo, cloneURL string) PullRequest {
	pr := PullRequest{Number: p.IID, Title: p.Title, Author: p.Author.Username, Labels: p.Labels, State: Open, Draft: p.Draft || p.WorkInProgress,
		Head: Branch{Ref: p.SourceBranch, Commit: p.SHA}, Base: Branch{Ref: p.TargetBranch, Repository: repo, CloneURL: cloneURL},
		Fork: p.SourceProjectID == 0 || p.SourceProjectID != p.TargetProjectID, FetchRef: fmt.Sprintf("refs/merge-requests/%d/head", p.IID),
		URL: p.WebURL, Updated: p.UpdatedAt}
	switch p.State {
	case "merged":
		pr.State = Merged
	case "closed":
		pr.State = Closed
	}
	if !pr.Fork {
		pr.Head.Repository, pr.Head.CloneURL = repo, cloneURL
	}
	if p.DiffRefs != nil {
		pr.Base.Commit = p.DiffRefs.StartSHA
		if pr.State == Open {
			pr.MergeBase = p.DiffRefs.BaseSHA
		}
	}
	return pr
}

func (l lab) cloneURL(repo string) string {
	return strings.TrimSuffix(l.web.String(), "/") + "/" + escaped(repo) + ".git"
}

func (l lab) mergeRequests(ctx context.Context, doing, repo string, query url.Values, enough func([]labPull) bool) ([]PullRequest, error) {
	ps, err := listAll(ctx, l.Client, request{doing: doing, path: l.project(repo, "/merge_requests"), query: query}, enough)
	if err != nil {
		return nil, err
	}
	prs := make([]PullRequest, 0, len(ps))
	for _, p := range ps {
		prs = append(prs, p.pullRequest(repo, l.cloneURL(repo)))
	}
	return prs, nil
}

func (l lab) open(ctx context.Context, repo string) ([]PullRequest, error) {
	return l.mergeRequests(ctx, "listing pull requests of "+repo, repo, url.Values{"state": {"opened"}, "order_by": {"created_at"}, "sort": {"asc"}}, nil)
}

func (l lab) changed(ctx context.Context, repo string, since time.Time) ([]PullRequest, error) {
	return l.mergeRequests(ctx, "listing changed pull requests of "+repo, repo, url.Values{"state": {"all"}, "order_by": {"updated_at"}, "sort": {"desc"},
		"updated_after": {since.UTC().Format(time.RFC3339Nano)}}, nil)
}

func (l lab) pull(ctx context.Context, repo string, number int) (PullRequest, error) {
	var p labPull
	_, err := l.call(ctx, request{doing: pullName("getting", repo, number), path: l.merge(repo, number, "")}, &p)
	return p.pullRequest(repo, l.cloneURL(repo)), err
}

func (l lab) removeLabel(ctx context.Context, repo string, number int, label string) error {
	if strings.Contains(label, ",") {
		return l.invalid(pullName("removing a label of", repo, number), "a comma separates labels")
	}
	_, err := l.call(ctx, request{doing: pullName("removing a label of", repo, number), method: http.MethodPut,
		path: l.merge(repo, number, ""), body: map[string]string{"remove_labels": label}}, nil)
	return err
}

type labStatus struct {
	Name        string `json:"name"`
	Status      string `json:"status"`
	Description string `json:"description"`
	TargetURL   string `json:"target_url"`
}

func (l lab) listStatuses(ctx context.Context, repo, commit string) ([]Status, error) {
	q := request{doing: "listing the statuses of " + commit + " in " + repo, path: l.project(repo, "/repository/commits/"+commit+"/statuses"),
		query: url.Values{"order_by": {"id"}, "sort": {"desc"}}}
	ss, err := listAll[labStatus](ctx, l.Client, q, nil)
	all := make([]Status, 0, len(ss))
	for _, s := range ss {
		all = append(all, Status{s.Name, stateOf(s.Status), s.Description, s.TargetURL})
	}
	return all, err
}

func (l lab) listChecks(context.Context, string, string) ([]Status, error) { return nil, nil }

func (l lab) setStatus(ctx context.Context, repo, commit string, s Status) error {
	state := string(s.State)
	if s.State == Failure {
		state = "failed"
	}
	body := map[string]string{"state": state, "name": s.Context, "description": s.Description}
	if s.URL != "" { // an empty one is refused
		body["target_url"] = s.URL
	}
	_, err := l.call(ctx, request{doing: "setting the status of " + commit + " in " + repo, method: http.MethodPost,
		path: l.project(repo, "/statuses/"+commit), body: body}, nil)
	var e *Error
	var text hostError
	if errors.As(err, &e) && e.Reason == Invalid && errors.As(err, &text) && strings.Contains(text.text, "Cannot transition status") {
		return nil // it is in that state
	}
	return err
}

type labNote struct {
	ID        int64     `json:"id"`
	Body      string    `json:"body"`
	System    bool      `json:"system"` // the host's own, as of a push
	Author    labUser   `json:"author"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

func (n labNote) comment() Comment {
	return Comment{ID: n.ID, Author: n.Author.Username, Body: n.Body, Created: n.CreatedAt, Updated: n.UpdatedAt}
}

func (l lab) comment(ctx context.Context, repo string, number int, id int64) (Comment, error) {
	var n labNote
	_, err := l.call(ctx, request{doing: pullName("getting a comment of", repo, number), path: l.merge(repo, number, fmt.Sprintf("/notes/%d", id))}, &n)
	if err == nil && n.System {
		return Comment{}, l.failed(request{doing: pullName("getting a comment of", repo, number)}, NotFound, errors.New("it is the host's own"))
	}
	return n.comment(), err
}

func (l lab) listComments(ctx context.Context, repo string, number int, _ time.Time) ([]Comment, error) {
	q := request{doing: pullName("listing comments of", repo, number), path: l.merge(repo, number, "/notes"),
		query: url.Values{"order_by": {"created_at"}, "sort": {"asc"}}}
	notes, err := listAll[labNote](ctx, l.Client, q, nil)
	var all []Comment
	for _, n := range notes {
		if !n.System {
			all = append(all, n.comment())
		}
	}
	return all, err
}

func (l lab) addComment(ctx context.Context, repo string, number int, body string) (int64, error) {
	var n labNote
	_, err := l.call(ctx, request{doing: pullName("commenting on", repo, number), method: http.MethodPost,
		path: l.merge(repo, number, "/notes"), body: map[string]string{"body": body}}, &n)
	return n.ID, err
}

func (l lab) editComment(ctx context.Context, repo string, number int, id int64, body string) error {
	_, err := l.call(ctx, request{doing: pullName("editing a comment on", repo, number), method: http.MethodPut,
		path: l.merge(repo, number, fmt.Sprintf("/notes/%d", id)), body: map[string]string{"body": body}}, nil)
	return err
}

// GitLab's levels of access that mean something here.
const (
	labReporter   = 20
	labDeveloper  = 30
	labMaintainer = 40
)

func (l lab) permission(ctx context.Context, repo, user string) (Permission, error) {
	doing := fmt.Sprintf("asking what %q may do with %s", user, repo)
	var users []labUser
	if _, err := l.call(ctx, request{doing: doing, path: "/users", query: url.Values{"username": {user}}}, &users); err != nil {
		return None, err
	}
	if len(users) != 1 || !strings.EqualFold(users[0].Username, user) {
		return None, nil
	}
	var member struct {
		AccessLevel int    `json:"access_level"`
		State       string `json:"state"`
	}
	_, err := l.call(ctx, request{doing: doing, path: l.project(repo, fmt.Sprintf("/members/all/%d", users[0].ID))}, &member)
	switch {
	case isNotFound(err):
		return None, nil
	case err != nil || member.State != "active":
		return None, err
	case member.AccessLevel >= labMaintainer:
		return Admin, nil
	case member.AccessLevel >= labDeveloper:
		return Write, nil
	case member.AccessLevel >= labReporter:
		return Read, nil
	}
	return None, nil
}

func (l lab) commit(ctx context.Context, repo, id string) (Commit, error) {
	var k struct {
		ID            string    `json:"id"`
		Message       string    `json:"message"`
		AuthorName    string    `json:"author_name"`
		CommittedDate time.Time `json:"committed_date"`
		ParentIDs     []string  `json:"parent_ids"`
	}
	q := request{doing: "getting commit " + id + " of " + repo, path: l.project(repo, "/repository/commits/"+id), query: url.Values{"stats": {"false"}}}
	if _, err := l.call(ctx, q, &k); err != nil {
		return Commit{}, err
	}
	if k.ID != id {
		return Commit{}, l.failed(q, Unexpected, fmt.Errorf("it is called %q", shorten(k.ID, 70)))
	}
	return Commit{ID: k.ID, Subject: subject(k.Message), Author: k.AuthorName, Time: k.CommittedDate, Parents: k.ParentIDs}, nil
}
