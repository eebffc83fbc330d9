package forge

import (
	"net/url"
	"path"
	"strings"
)

// Key is what clone URLs of one repository have in common: host and path in lower case, without scheme, user, usual port and ".git". It is
// for comparing the URLs of a hook with one's own; for that it is as good as a hint is. It is "" for what is no URL of a host.
func Key(cloneURL string) string {
	u, ok := parse(cloneURL)
	if !ok {
		return ""
	}
	p := strings.TrimSuffix(strings.Trim(path.Clean("/"+u.Path), "/"), ".git")
	if p == "" {
		return ""
	}
	return strings.ToLower(hostOf(u) + "/" + p)
}

// parse reads a URL with a scheme, or SSH's short form user@host:path.
func parse(s string) (*url.URL, bool) {
	if len(s) > 2048 || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return nil, false
	}
	if !strings.Contains(s, "://") {
		host, p, ok := strings.Cut(s, ":")
		if !ok || strings.Contains(host, "/") {
			return nil, false
		}
		if _, after, found := strings.Cut(host, "@"); found {
			host = after
		}
		return &url.URL{Scheme: "ssh", Host: host, Path: "/" + p}, host != ""
	}
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" {
		return nil, false
	}
	return u, true
}

var usualPorts = map[string]string{"http": "80", "https": "443", "ssh": "22"}

func hostOf(u *url.URL) string {
	if port := u.Port(); port != "" && port != usualPorts[u.Scheme] {
		return u.Host
	}
	return u.Hostname()
}

// Repository takes the path of a repository out of its clone URL, over HTTP or SSH. Which host the URL names is not looked at: it may have
// another name inside a cluster than outside.
func (c *Client) Repository(cloneURL string) (string, error) {
	u, ok := parse(cloneURL)
	if !ok {
		return "", c.invalid("reading the URL of a repository", "want https://HOST/PATH, ssh://HOST/PATH or USER@HOST:PATH")
	}
	p := path.Clean("/" + u.Path)
	if strings.HasPrefix(u.Scheme, "http") {
		p = strings.TrimPrefix(p, strings.TrimSuffix(path.Clean("/"+c.web.Path), "/"))
	}
	p = strings.TrimSuffix(strings.Trim(p, "/"), ".git")
	if err := c.checkRepository("reading the URL of a repository", p); err != nil {
		return "", err
	}
	return p, nil
}

// checkRepository: two parts, on GitLab more. Parts that would leave the path of a request are refused.
func (c *Client) checkRepository(doing, repo string) error {
	parts := strings.Split(repo, "/")
	if len(parts) < 2 || len(parts) > 2 && c.kind != GitLab {
		return c.invalid(doing, "a repository is OWNER/NAME")
	}
	for _, part := range parts {
		if part == "" || part == "." || part == ".." || len(repo) > 512 {
			return c.invalid(doing, "a repository is OWNER/NAME")
		}
	}
	return nil
}

// escaped is a repository's path with each part escaped.
func escaped(repo string) string {
	parts := strings.Split(repo, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return strings.Join(parts, "/")
}

// only says that s is of letters and digits of ASCII, and of others.
func only(s, others string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	return !strings.ContainsFunc(s, func(r rune) bool { return !strings.ContainsRune(letters, r) && !strings.ContainsRune(others, r) })
}
