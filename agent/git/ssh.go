package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	fluxgit "github.com/fluxcd/pkg/git"
	"github.com/fluxcd/pkg/ssh/knownhosts"
	"golang.org/x/crypto/ssh"
	sshagent "golang.org/x/crypto/ssh/agent"

	"headgate.dev/agent/git/internal/wire"
)

// sshTransport runs git-upload-pack on a server. Each exchange is a connection of its own.
type sshTransport struct {
	url    string // for errors
	addr   string
	path   string
	config ssh.ClientConfig
	agent  string // socket

	// of the exchange
	client *ssh.Client
	in     io.WriteCloser
	out    io.Reader
	stderr *tail
	stop   func() bool
}

func newSSH(u *url.URL, a Auth) (*sshTransport, error) {
	t := &sshTransport{url: display(u), agent: a.SSHAgent, addr: net.JoinHostPort(u.Hostname(), "22"), path: u.Path}
	if u.Port() != "" {
		t.addr = u.Host
	}
	if strings.HasPrefix(t.path, "/~") {
		t.path = t.path[1:]
	}
	user := a.Username
	if user == "" {
		user = u.User.Username()
	}
	if user == "" {
		user = fluxgit.DefaultPublicKeyAuthUser
	}
	o := fluxgit.AuthOptions{Transport: fluxgit.SSH, Host: u.Host, Username: user, Password: a.Password, Identity: a.SSHKey, KnownHosts: a.KnownHosts}
	if err := o.Validate(); err != nil && (a.SSHAgent == "" || len(a.KnownHosts) == 0) {
		return nil, &AuthError{URL: t.url, Err: err}
	}
	check, algorithms, err := knownhosts.New(a.KnownHosts)
	if err != nil {
		return nil, &AuthError{URL: t.url, Err: fmt.Errorf("reading known_hosts: %w", err)}
	}
	if slices.Contains(algorithms, ssh.KeyAlgoRSA) {
		// An RSA key is the same key whatever hash it signs with.
		algorithms = append([]string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}, algorithms...)
	}
	t.config = ssh.ClientConfig{User: user, HostKeyCallback: check, HostKeyAlgorithms: algorithms, Timeout: 30 * time.Second}
	if len(a.SSHKey) == 0 {
		return t, nil
	}
	key, err := readKey(a.SSHKey, a.Password)
	if err != nil {
		return nil, &AuthError{URL: t.url, Err: fmt.Errorf("reading the SSH key: %w", err)}
	}
	t.config.Auth = []ssh.AuthMethod{ssh.PublicKeys(key)}
	return t, nil
}

func readKey(pem []byte, password string) (ssh.Signer, error) {
	if password != "" {
		return ssh.ParsePrivateKeyWithPassphrase(pem, []byte(password))
	}
	return ssh.ParsePrivateKey(pem)
}

func (t *sshTransport) Advertise(ctx context.Context) (io.ReadCloser, error) {
	t.end()
	if err := t.connect(ctx); err != nil {
		return nil, err
	}
	s, err := t.client.NewSession()
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", t.url, err)
	}
	// Many servers refuse it, and then speak version 0.
	_ = s.Setenv("GIT_PROTOCOL", "version=2")
	t.stderr = &tail{}
	s.Stderr = t.stderr
	if t.in, err = s.StdinPipe(); err != nil {
		return nil, fmt.Errorf("asking %s: %w", t.url, err)
	}
	out, err := s.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", t.url, err)
	}
	if err := s.Start("git-upload-pack " + quote(t.path)); err != nil {
		return nil, fmt.Errorf("asking %s: %w", t.url, err)
	}
	t.out = out
	first := make([]byte, 1)
	if _, err := io.ReadFull(out, first); err != nil {
		_ = s.Wait() // for all of stderr
		return nil, t.refusal(err)
	}
	t.out = io.MultiReader(bytes.NewReader(first), out)
	return io.NopCloser(t.out), nil
}

// refusal tells why the server's git did not answer.
func (t *sshTransport) refusal(err error) error {
	said := strings.TrimSpace(string(t.stderr.data))
	if said == "" {
		return fmt.Errorf("asking %s: the server closes the connection: %w", t.url, err)
	}
	lower := strings.ToLower(said)
	if strings.Contains(lower, "not found") || strings.Contains(lower, "not appear to be a git repository") || strings.Contains(lower, "does not exist") {
		return &NotFoundError{Where: t.url, Hint: fmt.Sprintf("the server says %q", said)}
	}
	return fmt.Errorf("asking %s: %w", t.url, wire.ServerError(said))
}

func (t *sshTransport) connect(ctx context.Context) error {
	config := t.config
	conn, err := (&net.Dialer{Timeout: config.Timeout}).DialContext(ctx, "tcp", t.addr)
	if err != nil {
		return fmt.Errorf("asking %s: %w", t.url, err)
	}
	// A context that ends closes the connection, which ends whatever waits on it.
	t.stop = context.AfterFunc(ctx, func() { _ = conn.Close() })
	if len(config.Auth) == 0 {
		sock, err := (&net.Dialer{}).DialContext(ctx, "unix", t.agent)
		if err != nil {
			return errors.Join(&AuthError{URL: t.url, Err: fmt.Errorf("asking the SSH agent: %w", err)}, conn.Close())
		}
		defer func() { _ = sock.Close() }()
		config.Auth = []ssh.AuthMethod{ssh.PublicKeysCallback(sshagent.NewClient(sock).Signers)}
	}
	c, chans, reqs, err := ssh.NewClientConn(conn, t.addr, &config)
	if err != nil {
		_ = conn.Close()
		if ctx.Err() != nil {
			return fmt.Errorf("asking %s: %w", t.url, ctx.Err())
		}
		return &AuthError{URL: t.url, Err: err}
	}
	t.client = ssh.NewClient(c, chans, reqs)
	return nil
}

func (t *sshTransport) Call(_ context.Context, body []byte) (io.ReadCloser, error) {
	if t.client == nil {
		return nil, fmt.Errorf("asking %s: the exchange has ended", t.url)
	}
	if _, err := t.in.Write(body); err != nil {
		return nil, fmt.Errorf("asking %s: %w", t.url, err)
	}
	return io.NopCloser(t.out), nil
}

func (t *sshTransport) Stateless() bool { return false }

// end ends the connection; in both versions a flush is a polite way to say so.
func (t *sshTransport) end() {
	if t.client == nil {
		return
	}
	_, _ = io.WriteString(t.in, "0000")
	_ = t.client.Close()
	t.stop()
	t.client = nil
}

func (t *sshTransport) close() { t.end() }

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// tail keeps the first kilobyte of what a server says on the side. It is read after its writer has ended.
type tail struct{ data []byte }

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.data = append(t.data, p[:min(len(p), 1024-len(t.data))]...)
	return len(p), nil
}
