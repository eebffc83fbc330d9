package git

import (
	"errors"
	"fmt"
	"net/url"
)

// Proxy is a server through which another one is reached. Zero is none.
type Proxy struct {
	// URL is http://HOST:PORT or https://HOST:PORT, for repositories over the same, or socks5://HOST:PORT, for all; names are resolved there.
	URL string
	// Username and Password are for a proxy that wants them.
	Username, Password string
}

// Parse gives the URL with user and password, nil for zero.
func (p Proxy) Parse() (*url.URL, error) {
	if p.URL == "" {
		return nil, nil
	}
	u, err := url.Parse(p.URL)
	if err != nil || u.Hostname() == "" {
		return nil, errors.New("its proxy has no host: write it as http://HOST:PORT")
	}
	switch u.Scheme {
	case "http", "https", "socks5":
	default:
		return nil, &UnsupportedError{What: fmt.Sprintf("a proxy for %q", u.Scheme), Remedy: "use http://, https:// or socks5://"}
	}
	u = &url.URL{Scheme: u.Scheme, Host: u.Host}
	if p.Username != "" || p.Password != "" {
		u.User = url.UserPassword(p.Username, p.Password)
	}
	return u, nil
}

// parse is Parse for a repository that can be reached through it.
func (p Proxy) parse(repository *url.URL) (*url.URL, error) {
	u, err := p.Parse()
	if err == nil && u != nil && u.Scheme != "socks5" && repository.Scheme == "ssh" {
		return nil, &UnsupportedError{What: "a proxy for http on the way to ssh", Remedy: "use a socks5:// proxy, or the repository's https:// URL"}
	}
	return u, err
}
