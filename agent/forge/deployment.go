package forge

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Deployment is what a host shows of an environment: a deployment on GitHub, an environment on GitLab, nothing on Gitea.
type Deployment struct {
	// Environment is its name: at most 255 letters, digits, "-", "_" and "/".
	Environment string
	// Commit is what is there, URL where it answers. Both are required while it is live.
	Commit, URL string
	// Live: it answers. Else the host shows it as inactive or stopped.
	Live bool
}

type deploymentKey struct{ repo, environment string }

// SetDeployment shows an environment as it is, unless the host does already. What the host has is remembered, and asked once for each environment. One that
// is not live and that the host does not know is not made. Calls for the same environment are to come one after another.
func (c *Client) SetDeployment(ctx context.Context, repo string, d Deployment) error {
	doing := "showing the environment " + d.Environment + " in " + repo
	if err := c.check(doing, repo, 1); err != nil {
		return err
	}
	if problem := d.problem(); problem != "" {
		return c.invalid(doing, problem)
	}
	if !d.Live {
		d.Commit, d.URL = "", ""
	}
	key := deploymentKey{repo, d.Environment}
	c.mu.Lock()
	had, known := c.deployments.get(key)
	c.deployments.drop(key) // it may arrive though there is an error
	c.mu.Unlock()
	if !known || had != d {
		if err := c.host.setDeployment(ctx, repo, d); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deployments.put(key, d)
	return nil
}

func (d Deployment) problem() string {
	odd := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_/", r)
	}
	switch {
	case d.Environment == "" || len(d.Environment) > 255 || strings.ContainsFunc(d.Environment, odd) || strings.Trim(d.Environment, "/") != d.Environment:
		return "the name of an environment has 1 to 255 letters, digits, - and _, and / inside"
	case d.Live && !isCommit(d.Commit):
		return "what is live is a commit of 40 or 64 digits"
	case d.Live && !strings.HasPrefix(d.URL, "http://") && !strings.HasPrefix(d.URL, "https://"):
		return "what is live has a URL that begins with http:// or https://"
	}
	return ""
}

type hubDeployment struct {
	ID  int64  `json:"id"`
	SHA string `json:"sha"`
}

type hubDeploymentStatus struct {
	State          string    `json:"state"`
	EnvironmentURL string    `json:"environment_url"`
	CreatedAt      time.Time `json:"created_at"`
}

// setDeployment makes a deployment for each commit. GitHub ends no earlier one of an environment that is transient by itself.
func (h hub) setDeployment(ctx context.Context, repo string, d Deployment) error {
	if h.kind == Gitea {
		return nil // it has none
	}
	q := request{doing: "listing the deployments to " + d.Environment + " in " + repo, path: h.repo(repo, "/deployments"),
		query: url.Values{"environment": {d.Environment}}}
	all, err := listAll[hubDeployment](ctx, h.Client, q, nil)
	if err != nil {
		return err
	}
	shown := false
	var before []int64
	for i, o := range all { // the newest first
		s, err := h.deploymentStatus(ctx, repo, o.ID)
		switch {
		case err != nil:
			return err
		case d.Live && i == 0 && o.SHA == d.Commit && s.State != "inactive":
			shown = true
			if s.State != "success" || s.EnvironmentURL != d.URL {
				if err := h.addDeploymentStatus(ctx, repo, o.ID, d); err != nil {
					return err
				}
			}
		case s.State != "inactive":
			before = append(before, o.ID)
		case i > 0 && len(before) == 0:
			return h.endDeployments(ctx, repo, d, before, shown) // those before it ended when it began
		}
	}
	return h.endDeployments(ctx, repo, d, before, shown)
}

// endDeployments makes the deployment of a commit, unless it is shown, and ends those before.
func (h hub) endDeployments(ctx context.Context, repo string, d Deployment, before []int64, shown bool) error {
	if d.Live && !shown {
		if err := h.addDeployment(ctx, repo, d); err != nil {
			return err
		}
	}
	for _, id := range before {
		if err := h.addDeploymentStatus(ctx, repo, id, Deployment{Environment: d.Environment}); err != nil {
			return err
		}
	}
	return nil
}

// addDeployment makes a deployment, whatever the commit's statuses are: it is there already.
func (h hub) addDeployment(ctx context.Context, repo string, d Deployment) error {
	var made hubDeployment
	body := map[string]any{"ref": d.Commit, "environment": d.Environment, "transient_environment": true, "production_environment": false,
		"auto_merge": false, "required_contexts": []string{}, "description": "Preview"}
	q := request{doing: "making a deployment to " + d.Environment + " in " + repo, method: http.MethodPost, path: h.repo(repo, "/deployments"), body: body}
	if _, err := h.call(ctx, q, &made); err != nil {
		return err
	}
	return h.addDeploymentStatus(ctx, repo, made.ID, d)
}

func (h hub) deploymentStatus(ctx context.Context, repo string, id int64) (hubDeploymentStatus, error) {
	var all []hubDeploymentStatus // the newest first
	q := request{doing: fmt.Sprintf("asking for the status of deployment %d in %s", id, repo), path: h.repo(repo, fmt.Sprintf("/deployments/%d/statuses", id)),
		query: url.Values{"per_page": {"1"}}}
	if _, err := h.call(ctx, q, &all); err != nil || len(all) == 0 {
		return hubDeploymentStatus{}, err
	}
	return all[0], nil
}

func (h hub) addDeploymentStatus(ctx context.Context, repo string, id int64, d Deployment) error {
	body := map[string]any{"state": "inactive", "auto_inactive": false}
	if d.Live {
		body["state"], body["environment_url"] = "success", d.URL
	}
	q := request{doing: fmt.Sprintf("setting the status of deployment %d in %s", id, repo), method: http.MethodPost,
		path: h.repo(repo, fmt.Sprintf("/deployments/%d/statuses", id)), body: body}
	_, err := h.call(ctx, q, nil)
	return err
}

type labEnvironment struct {
	ID          int64  `json:"id"`
	Name        string `json:"name"`
	State       string `json:"state"`
	ExternalURL string `json:"external_url"`
}

// setDeployment keeps one environment. One that was stopped is made anew: nothing starts it again.
func (l lab) setDeployment(ctx context.Context, repo string, d Deployment) error {
	var all []labEnvironment
	q := request{doing: "looking for the environment " + d.Environment + " in " + repo, path: l.project(repo, "/environments"),
		query: url.Values{"name": {d.Environment}}}
	if _, err := l.call(ctx, q, &all); err != nil {
		return err
	}
	var had *labEnvironment
	for i := range all {
		if all[i].Name == d.Environment {
			had = &all[i]
		}
	}
	change := func(method, path string, body any) error {
		_, err := l.call(ctx, request{doing: "setting the environment " + d.Environment + " in " + repo, method: method,
			path: l.project(repo, "/environments"+path), body: body}, nil)
		return err
	}
	if had == nil && !d.Live {
		return nil
	}
	if had != nil {
		at := fmt.Sprintf("/%d", had.ID)
		switch {
		case d.Live && had.State == "available" && had.ExternalURL == d.URL, !d.Live && had.State != "available":
			return nil
		case d.Live && had.State == "available":
			return change(http.MethodPut, at, map[string]string{"external_url": d.URL})
		case !d.Live:
			return change(http.MethodPost, at+"/stop", map[string]string{})
		}
		if err := change(http.MethodDelete, at, nil); err != nil {
			return err
		}
	}
	return change(http.MethodPost, "", map[string]string{"name": d.Environment, "external_url": d.URL, "tier": "development"})
}
