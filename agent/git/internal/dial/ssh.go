package dial

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fluxcd/pkg/ssh/knownhosts"
	"golang.org/x/crypto/ssh"
	hostkeys "golang.org/x/crypto/ssh/knownhosts"
)

// Client is what a client needs who knows the keys of hosts. Without a private key, whose password may be empty, it has nothing to show yet.
func Client(user, password string, key, knownHosts []byte) (ssh.ClientConfig, error) {
	check, algorithms, err := knownhosts.New(knownHosts)
	if err != nil {
		return ssh.ClientConfig{}, fmt.Errorf("reading known_hosts: %w", err)
	}
	if slices.Contains(algorithms, ssh.KeyAlgoRSA) {
		// An RSA key is the same key whatever hash it signs with.
		algorithms = append([]string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}, algorithms...)
	}
	c := ssh.ClientConfig{User: user, HostKeyCallback: check, HostKeyAlgorithms: algorithms, Timeout: 30 * time.Second}
	if len(key) == 0 {
		return c, nil
	}
	parse := ssh.ParsePrivateKey
	if password != "" {
		parse = func(pem []byte) (ssh.Signer, error) { return ssh.ParsePrivateKeyWithPassphrase(pem, []byte(password)) }
	}
	signer, err := parse(key)
	if err != nil {
		return ssh.ClientConfig{}, fmt.Errorf("reading the SSH key: %w", err)
	}
	c.Auth = []ssh.AuthMethod{ssh.PublicKeys(signer)}
	return c, nil
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
