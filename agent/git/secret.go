package git

import (
	"errors"
	"fmt"
	"strings"

	fluxgit "github.com/fluxcd/pkg/git"
)

// AppKey is what a GitHub App authenticates with.
type AppKey struct {
	// ID is the App's id or client id, Installation the id of its installation at the owner of the repositories.
	ID, Installation string
	// PrivateKey is an RSA key in PEM, as GitHub gives it out.
	PrivateKey []byte
	// API is the root of the host's API, where it is not the usual one.
	API string
}

// AuthFromSecret reads the data of a Secret as Flux writes it: username, password, bearerToken, identity, known_hosts, ca.crt, tls.crt, tls.key;
// githubAppID, githubAppInstallationID, githubAppPrivateKey and githubAppBaseURL.
func AuthFromSecret(rawURL string, data map[string][]byte) (Auth, error) {
	u, err := parseURL(rawURL)
	if err != nil {
		return Auth{}, err
	}
	o, err := fluxgit.NewAuthOptions(*u, data)
	if err != nil {
		return Auth{}, &AuthError{URL: display(u), Err: err}
	}
	a := Auth{
		Username: o.Username, Password: o.Password, BearerToken: o.BearerToken,
		SSHKey: o.Identity, KnownHosts: o.KnownHosts,
		CA: o.CAFile, ClientCert: o.ClientCert, ClientKey: o.ClientKey,
	}
	if u.Scheme == "ssh" {
		return a, nil
	}
	if a.App, err = appFromSecret(data); err == nil && a.App != nil && (a.Password != "" || a.BearerToken != "") {
		err = errors.New("the Secret has a GitHub App and other credentials: take one of them away")
	}
	if err != nil {
		return Auth{}, &AuthError{URL: display(u), Err: err}
	}
	return a, nil
}

// appFromSecret gives nil for a Secret with nothing of an App.
func appFromSecret(data map[string][]byte) (*AppKey, error) {
	text := func(name string) string { return strings.TrimSpace(string(data[name])) }
	var missing []string
	for _, name := range []string{"githubAppID", "githubAppInstallationID", "githubAppPrivateKey"} {
		if text(name) == "" {
			missing = append(missing, name)
		}
	}
	switch len(missing) {
	case 0:
		return &AppKey{ID: text("githubAppID"), Installation: text("githubAppInstallationID"), PrivateKey: data["githubAppPrivateKey"],
			API: text("githubAppBaseURL")}, nil
	case 3:
		return nil, nil
	}
	return nil, fmt.Errorf("of a GitHub App %s is missing", strings.Join(missing, " and "))
}
