package git

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	fluxgit "github.com/fluxcd/pkg/git"
	fluxsignature "github.com/fluxcd/pkg/git/signature"
)

// Keys are whose signatures count.
type Keys struct {
	// PGP are armored public key rings.
	PGP []string
	// SSH are lines as in an authorized_keys file; each string may hold several.
	SSH []string
}

// KeysFromSecret reads the data of a Secret: each value is an armored PGP key ring, or lines as in an authorized_keys file. A value that is neither is
// an error that names its key, and so is a Secret without any.
func KeysFromSecret(data map[string][]byte) (Keys, error) {
	var k Keys
	for _, name := range slices.Sorted(maps.Keys(data)) {
		text := string(data[name])
		if strings.Contains(text, "-----BEGIN PGP PUBLIC KEY BLOCK-----") {
			k.PGP = append(k.PGP, text)
			continue
		}
		keys, err := fluxsignature.ParseAuthorizedKeys(text)
		if err != nil || len(keys) == 0 {
			return Keys{}, fmt.Errorf("reading %s: it is neither an armored PGP key ring nor lines of an authorized_keys file", name)
		}
		k.SSH = append(k.SSH, text)
	}
	if k.PGP == nil && k.SSH == nil {
		return Keys{}, errors.New("there is no key in it: put an armored PGP key ring there, or lines of an authorized_keys file")
	}
	return k, nil
}

// signed is a commit or a tag of fluxcd's.
type signed interface {
	IsPGPSigned() bool
	IsSSHSigned() bool
	VerifyPGP(keyRings ...string) (string, error)
	VerifySSH(authorizedKeys ...string) (string, error)
}

func verify(s signed, k Keys) (string, error) {
	switch {
	case s.IsPGPSigned():
		return s.VerifyPGP(k.PGP...)
	case s.IsSSHSigned():
		return s.VerifySSH(k.SSH...)
	}
	return "", errors.New("the signature is neither PGP nor SSH")
}

// Verify checks the commit's signature, PGP or SSH, against the keys and gives the id of the key that made it: the key
// id of a PGP key, the SHA256 fingerprint of an SSH key. Any other outcome is a SignatureError.
func (c *Commit) Verify(k Keys) (string, error) {
	if c.sigs != 1 {
		// Two signatures would let each reader pick another one.
		return "", &SignatureError{Revision: c.Revision, Unsigned: c.sigs == 0, Err: errors.New("it has several signatures")}
	}
	f := fluxgit.Commit{Hash: fluxgit.Hash(c.Hash), Signature: c.sig, Encoded: c.signed}
	id, err := verify(&f, k)
	if err != nil {
		return "", &SignatureError{Revision: c.Revision, Err: err}
	}
	return id, nil
}
