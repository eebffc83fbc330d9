package forge

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"strings"
)

// credential is what a hook brings to show who sent it, of the right form, and before its body is read.
type credential struct {
	token string // GitLab's: the secret itself
	mac   []byte // everybody else's: HMAC-SHA256 of the body
}

// credentialOf finds it where the kind of host puts it.
func credentialOf(kind Kind, h http.Header) (credential, bool) {
	switch kind {
	case GitLab:
		token := h.Get("X-Gitlab-Token")
		return credential{token: token}, token != ""
	case GitHub:
		return prefixed(h.Get("X-Hub-Signature-256"))
	case Gitea:
		if v := h.Get("X-Hub-Signature-256"); v != "" {
			return prefixed(v)
		}
		return bare(first(h, "X-Gitea-Signature", "X-Forgejo-Signature"))
	}
	return prefixed(h.Get("X-Signature"))
}

func prefixed(v string) (credential, bool) {
	mac, ok := strings.CutPrefix(v, "sha256=")
	if !ok {
		return credential{}, false
	}
	return bare(mac)
}

func bare(v string) (credential, bool) {
	mac, err := hex.DecodeString(v)
	return credential{mac: mac}, err == nil && len(mac) == sha256.Size
}

// early says whether the credential is known to be good before the body is there.
func (c credential) early(secrets []string) bool {
	if c.token == "" {
		return true
	}
	return anyOf(secrets, func(secret string) int {
		// Digests have one length, so that not even the secret's shows.
		want, got := sha256.Sum256([]byte(secret)), sha256.Sum256([]byte(c.token))
		return subtle.ConstantTimeCompare(want[:], got[:])
	})
}

// good says whether one of the secrets made it. All are tried, whichever is right.
func (c credential) good(secrets []string, body []byte) bool {
	if c.token != "" {
		return c.early(secrets)
	}
	return anyOf(secrets, func(secret string) int {
		m := hmac.New(sha256.New, []byte(secret))
		m.Write(body)
		return subtle.ConstantTimeCompare(m.Sum(nil), c.mac)
	})
}

func anyOf(secrets []string, equal func(string) int) bool {
	found := 0
	for _, s := range secrets {
		found |= equal(s)
	}
	return found == 1
}
