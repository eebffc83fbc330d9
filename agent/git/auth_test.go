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
