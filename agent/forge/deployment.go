package forge

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Deployment is what a host shows of an environment: a deployment on GitHub, an environment on GitLab, nothing on Gitea.
type Deployment struct {
	// Environment is its name, as IsEnvironment takes it.
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

// IsEnvironment tells whether every host takes a name for an environment: 1 to 255 letters, digits, "-" and "_", and "/" inside.
func IsEnvironment(name string) bool { return environments.MatchString(name) }

var environments = regexp.MustCompile(`^[a-zA-Z0-9_-][a-zA-Z0-9_/-]{0,253}[a-zA-Z0-9_-]$|^[a-zA-Z0-9_-]$`)

func (d Deployment) problem() string {
	switch {
	case !IsEnvironment(d.Environment):
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

	status hubDeploymentStatus // asked for by itself
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
	active, err := h.activeDeployments(ctx, repo, d.Environment)
	if err != nil {
		return err
	}
	shown := d.Live && len(active) > 0 && active[0].SHA == d.Commit
	switch {
	case shown && (active[0].status.State != "success" || active[0].status.EnvironmentURL != d.URL):
		err = h.addDeploymentStatus(ctx, repo, active[0].ID, d)
	case d.Live && !shown:
		err = h.addDeployment(ctx, repo, d)
	}
	if err != nil {
		return err
	}
	if shown {
		active = active[1:]
	}
	return h.endDeployments(ctx, repo, d.Environment, active)
}

// endDeployments ends the oldest first, so that those which are active stay the newest, whatever happens in between.
func (h hub) endDeployments(ctx context.Context, repo, environment string, active []hubDeployment) error {
	for _, o := range slices.Backward(active) {
		if err := h.addDeploymentStatus(ctx, repo, o.ID, Deployment{Environment: environment}); err != nil {
			return err
		}
	}
	return nil
}

// activeDeployments gives those to an environment that are not ended, the newest first: all before one that is ended are.
func (h hub) activeDeployments(ctx context.Context, repo, environment string) ([]hubDeployment, error) {
	q := request{doing: "listing the deployments to " + environment + " in " + repo, path: h.repo(repo, "/deployments"),
		query: url.Values{"environment": {environment}}}
	all, err := listAll[hubDeployment](ctx, h.Client, q, nil)
	if err != nil {
		return nil, err
	}
	for i := range all {
		if all[i].status, err = h.deploymentStatus(ctx, repo, all[i].ID); err != nil {
			return nil, err
		}
		if all[i].status.State == "inactive" {
			return all[:i], nil
		}
	}
	return all, nil
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
	had, err := l.environment(ctx, repo, d.Environment)
	if err != nil {
		return err
	}
	change := func(method, path string, body any) error {
		_, err := l.call(ctx, request{doing: "setting the environment " + d.Environment + " in " + repo, method: method,
			path: l.project(repo, "/environments"+path), body: body}, nil)
		return err
	}
	at, available := fmt.Sprintf("/%d", had.ID), had.State == "available"
	switch {
	case !d.Live && available:
		return change(http.MethodPost, at+"/stop", map[string]string{})
	case !d.Live, available && had.ExternalURL == d.URL:
		return nil
	case available:
		return change(http.MethodPut, at, map[string]string{"external_url": d.URL})
	case had.ID != 0:
		if err := change(http.MethodDelete, at, nil); err != nil {
			return err
		}
	}
	return change(http.MethodPost, "", map[string]string{"name": d.Environment, "external_url": d.URL, "tier": "development"})
}

// environment gives the one of a name; the zero value where there is none.
func (l lab) environment(ctx context.Context, repo, name string) (labEnvironment, error) {
	var all []labEnvironment
	q := request{doing: "looking for the environment " + name + " in " + repo, path: l.project(repo, "/environments"), query: url.Values{"name": {name}}}
	if _, err := l.call(ctx, q, &all); err != nil {
		return labEnvironment{}, err
	}
	i := slices.IndexFunc(all, func(e labEnvironment) bool { return e.Name == name })
	if i < 0 {
		return labEnvironment{}, nil
	}
	return all[i], nil
}
