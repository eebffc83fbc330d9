package forge

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

var gitHubDialect = dialect{
	openOrder: url.Values{"sort": {"created"}, "direction": {"asc"}},
	changed:   gitHubChanged, mergeBase: gitHubMergeBase, removeLabel: gitHubRemoveLabel, checks: gitHubChecks,
}

// gitHubChanged reads pull requests from the last changed one until it has seen those that did not change.
func gitHubChanged(ctx context.Context, h hub, repo string, since time.Time) ([]PullRequest, error) {
	q := request{doing: "listing changed pull requests of " + repo, path: h.repo(repo, "/pulls"),
		query: url.Values{"state": {"all"}, "sort": {"updated"}, "direction": {"desc"}}}
	ps, err := listAll(ctx, h.Client, q, func(page []hubPull) bool {
		return len(page) > 0 && page[len(page)-1].UpdatedAt.Before(since)
	})
	if err != nil {
		return nil, err
	}
	var prs []PullRequest
	for _, p := range ps {
		if !p.UpdatedAt.Before(since) {
			prs = append(prs, p.pullRequest())
		}
	}
	return prs, nil
}

// gitHubMergeBase compares with the branch as it is now. The files of a comparison, which may be large, are on its first page only; so that page
// is asked for only if the second does not say the merge base.
func gitHubMergeBase(ctx context.Context, h hub, repo string, pr PullRequest) (string, error) {
	for _, page := range []string{"2", "1"} {
		q := request{doing: pullName("finding the merge base of", repo, pr.Number), query: url.Values{"per_page": {"1"}, "page": {page}},
			path: h.repo(repo, "/compare/"+url.PathEscape(pr.Base.Ref)+"..."+pr.Head.Commit)}
		var comparison struct {
			MergeBase struct {
				SHA string `json:"sha"`
			} `json:"merge_base_commit"`
		}
		_, err := h.call(ctx, q, &comparison)
		if isNotFound(err) { // no history in common, or the base is just being deleted
			return "", nil
		}
		if err != nil || comparison.MergeBase.SHA != "" {
			return comparison.MergeBase.SHA, err
		}
	}
	return "", nil
}

func gitHubRemoveLabel(ctx context.Context, h hub, repo string, number int, label string) error {
	q := request{doing: pullName("removing a label of", repo, number), method: http.MethodDelete,
		path: h.repo(repo, fmt.Sprintf("/issues/%d/labels/%s", number, url.PathEscape(label)))}
	_, err := h.call(ctx, q, nil)
	if isNotFound(err) {
		return nil
	}
	return err
}

// gitHubChecks lists check runs, which is how Actions and other apps report. Of one name the latest comes.
func gitHubChecks(ctx context.Context, h hub, repo, commit string) ([]Status, error) {
	var all []Status
	q := request{doing: "listing the checks of " + commit + " in " + repo, path: h.repo(repo, "/commits/"+commit+"/check-runs")}
	for page := 1; ; page++ {
		q.query = url.Values{"filter": {"latest"}, "per_page": {"100"}, "page": {fmt.Sprint(page)}}
		var runs struct {
			Runs []struct {
				Name       string `json:"name"`
				Status     string `json:"status"`
				Conclusion string `json:"conclusion"`
				DetailsURL string `json:"details_url"`
			} `json:"check_runs"`
		}
		a, err := h.call(ctx, q, &runs)
		if err != nil {
			return nil, err
		}
		for _, r := range runs.Runs {
			state := r.Status
			if state == "completed" {
				state = r.Conclusion
			}
			all = append(all, Status{Context: r.Name, State: stateOf(state), URL: r.DetailsURL})
		}
		if !a.next {
			return all, nil
		}
		if len(runs.Runs) == 0 || len(all) > maxEntries {
			return nil, h.failed(q, Unexpected, fmt.Errorf("the list does not end after %d", len(all)))
		}
	}
}
