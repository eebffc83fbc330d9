package forge

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

var giteaDialect = dialect{
	openOrder: url.Values{"sort": {"oldest"}},
	changed:   giteaChanged, removeLabel: giteaRemoveLabel,
	mergeBase: func(context.Context, hub, string, PullRequest) (string, error) { return "", nil }, // it says it if there is one
	checks:    func(context.Context, hub, string, string) ([]Status, error) { return nil, nil },   // it has statuses only
	// The difference and the signature cost it more than the commit.
	commitQuery: url.Values{"stat": {"false"}, "verification": {"false"}, "files": {"false"}},
}

// giteaChanged asks which issues that are pull requests changed, and then for each: the list has neither heads nor bases.
func giteaChanged(ctx context.Context, h hub, repo string, since time.Time) ([]PullRequest, error) {
	q := request{doing: "listing changed pull requests of " + repo, path: h.repo(repo, "/issues"),
		query: url.Values{"type": {"pulls"}, "state": {"all"}, "since": {since.UTC().Format(time.RFC3339)}}}
	issues, err := listAll[struct {
		Number int `json:"number"`
	}](ctx, h.Client, q, nil)
	if err != nil {
		return nil, err
	}
	var prs []PullRequest
	seen := map[int]bool{}
	for _, issue := range issues {
		if seen[issue.Number] {
			continue
		}
		seen[issue.Number] = true
		pr, err := h.pull(ctx, repo, issue.Number)
		if err != nil {
			return nil, err
		}
		prs = append(prs, pr)
	}
	return prs, nil
}

// giteaRemoveLabel looks the label up: they are removed by number.
func giteaRemoveLabel(ctx context.Context, h hub, repo string, number int, label string) error {
	doing, at := pullName("removing a label of", repo, number), h.repo(repo, fmt.Sprintf("/issues/%d/labels", number))
	var labels []hubLabel
	if _, err := h.call(ctx, request{doing: doing, path: at}, &labels); err != nil {
		return err
	}
	for _, l := range labels {
		if l.Name != label {
			continue
		}
		_, err := h.call(ctx, request{doing: doing, method: http.MethodDelete, path: fmt.Sprintf("%s/%d", at, l.ID)}, nil)
		if err != nil && !isNotFound(err) {
			return err
		}
	}
	return nil
}
