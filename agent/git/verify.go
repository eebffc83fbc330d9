package git

import (
	"errors"

	fluxgit "github.com/fluxcd/pkg/git"
)

// Keys are whose signatures count.
type Keys struct {
	// PGP are armored public key rings.
	PGP []string
	// SSH are lines as in an authorized_keys file; each string may hold several.
	SSH []string
}

// Verify checks the commit's signature, PGP or SSH, against the keys and gives the id of the key that made it: the key
// id of a PGP key, the SHA256 fingerprint of an SSH key. Any other outcome is a SignatureError.
func (c *Commit) Verify(k Keys) (string, error) {
	if c.sigs != 1 {
		// Two signatures would let each reader pick another one.
		return "", &SignatureError{Revision: c.Revision, Unsigned: c.sigs == 0, Err: errors.New("it has several signatures")}
	}
	f := fluxgit.Commit{Hash: fluxgit.Hash(c.Hash), Signature: c.sig, Encoded: c.signed}
	var id string
	var err error
	switch {
	case f.IsPGPSigned():
		id, err = f.VerifyPGP(k.PGP...)
	case f.IsSSHSigned():
		id, err = f.VerifySSH(k.SSH...)
	default:
		err = errors.New("the signature is neither PGP nor SSH")
	}
	if err != nil {
		return "", &SignatureError{Revision: c.Revision, Err: err}
	}
	return id, nil
}
