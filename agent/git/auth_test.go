package git

import (
	"errors"
	"strings"
	"testing"
)

// TestAuthFromSecret reads Secrets as they are written for Flux.
func TestAuthFromSecret(t *testing.T) {
	auth, err := AuthFromSecret("https://git.test/team/shop", map[string][]byte{"username": []byte("ada"), "password": []byte("token"), "ca.crt": []byte("CA")})
	if err != nil || auth.Username != "ada" || auth.Password != "token" || string(auth.CA) != "CA" {
		t.Errorf("basic: %+v, %v", auth, err)
	}
	auth, err = AuthFromSecret("https://git.test/team/shop", map[string][]byte{"bearerToken": []byte("canary")})
	if err != nil || auth.BearerToken != "canary" {
		t.Errorf("bearer: %v", err)
	}
	_, err = AuthFromSecret("git@git.test:team/shop", map[string][]byte{"identity": []byte("canary")})
	if wrong := new(AuthError); !errors.As(err, &wrong) || strings.Contains(err.Error(), "canary") {
		t.Errorf("ssh without known hosts: %v", err)
	}
}

func TestAppFromSecret(t *testing.T) {
	secret := func(names ...string) map[string][]byte {
		data := map[string][]byte{"ca.crt": []byte("CA")}
		for _, name := range names {
			data[name] = []byte("canary-" + name + "\n")
		}
		return data
	}
	all := []string{"githubAppID", "githubAppInstallationID", "githubAppPrivateKey"}
	a, err := AuthFromSecret("https://github.com/team/shop", secret(all...))
	if err != nil || a.App == nil || a.App.ID != "canary-githubAppID" || a.App.Installation != "canary-githubAppInstallationID" || string(a.CA) != "CA" {
		t.Errorf("%+v, %v", a.App, err)
	}
	if a, err := AuthFromSecret("https://github.com/team/shop", secret()); err != nil || a.App != nil {
		t.Errorf("%+v, %v", a.App, err)
	}
	for want, data := range map[string]map[string][]byte{
		"of a GitHub App githubAppInstallationID and githubAppPrivateKey is missing": secret("githubAppID"),
		"take one of them away": secret(append(all, "username", "password")...),
	} {
		_, err := AuthFromSecret("https://github.com/team/shop", data)
		if wrong := new(AuthError); !errors.As(err, &wrong) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%v, want %s", err, want)
		}
	}
	a.App = &AppKey{}
	_, err = Open(Source{URL: "https://github.com/team/shop", Auth: a}, Options{Cache: t.TempDir()})
	if wrong := new(UnsupportedError); !errors.As(err, &wrong) {
		t.Errorf("an App that nobody gets tokens of: %v", err)
	}
}
