package dial

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"
	hostkeys "golang.org/x/crypto/ssh/knownhosts"
)

// Key reads a private key; the password may be empty.
func Key(pem []byte, password string) (ssh.Signer, error) {
	if password != "" {
		return ssh.ParsePrivateKeyWithPassphrase(pem, []byte(password))
	}
	return ssh.ParsePrivateKey(pem)
}

// Explain says what to do after a handshake that failed. Of a refused key the library gives a text alone.
func Explain(err error) error {
	var host *hostkeys.KeyError
	switch {
	case errors.As(err, &host) && len(host.Want) == 0, strings.Contains(err.Error(), "no common algorithm for host key"):
		return fmt.Errorf("the host is not in known_hosts: %w: check its key and add it there", err)
	case errors.As(err, &host):
		return fmt.Errorf("the host has another key than in known_hosts: %w: if it was given a new one, check that and put it there", err)
	case strings.Contains(err.Error(), "unable to authenticate"):
		return errors.New("the server refuses this key: it may not, or not any more, read the repository; add its public half there, or give another one (identity)")
	}
	return err
}
