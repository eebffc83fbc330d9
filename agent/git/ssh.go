package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"

	fluxgit "github.com/fluxcd/pkg/git"
	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"golang.org/x/crypto/ssh"
	sshagent "golang.org/x/crypto/ssh/agent"

	"headgate.dev/agent/git/internal/dial"
)

// sshPeer runs git-upload-pack on a server. Each session is a connection of its own. go-git speaks the protocol; the
// connection is ours, because its ssh transport dials and shakes hands without a context, reads the user's ssh_config,
// and bounds no answer.
type sshPeer struct {
	bounds
	addr   string
	path   string
	config ssh.ClientConfig
	agent  string   // socket
	proxy  *url.URL // nil: none
}

func newSSH(u *url.URL, a Auth, proxy *url.URL, b bounds) (*sshPeer, error) {
	t := &sshPeer{bounds: b, proxy: proxy, agent: a.SSHAgent, addr: net.JoinHostPort(u.Hostname(), "22"), path: u.Path}
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
	config, err := dial.Client(user, a.Password, a.SSHKey, a.KnownHosts)
	if err != nil {
		return nil, &AuthError{URL: t.url, Err: err}
	}
	t.config = config
	return t, nil
}

func (t *sshPeer) open(ctx context.Context) (session, error) {
	s, err := t.connect(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.start(t.path); err != nil {
		_ = s.Close() // what matters went wrong before
		return nil, fmt.Errorf("asking %s: %w", t.url, err)
	}
	return s, nil
}

func (t *sshPeer) close() {}

func (t *sshPeer) connect(ctx context.Context) (*sshSession, error) {
	config := t.config
	conn, err := dial.Dial(ctx, config.Timeout, t.proxy, t.addr)
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", t.url, err)
	}
	// A context that ends closes the connection, which ends whatever waits on it.
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	if len(config.Auth) == 0 {
		sock, err := (&net.Dialer{}).DialContext(ctx, "unix", t.agent)
		if err != nil {
			return nil, errors.Join(&AuthError{URL: t.url, Err: fmt.Errorf("asking the SSH agent: %w", err)}, conn.Close())
		}
		defer func() { _ = sock.Close() }()
		config.Auth = []ssh.AuthMethod{ssh.PublicKeysCallback(sshagent.NewClient(sock).Signers)}
	}
	c, chans, reqs, err := ssh.NewClientConn(conn, t.addr, &config)
	if err != nil {
		_ = conn.Close()
		if ctx.Err() != nil {
			return nil, fmt.Errorf("asking %s: %w", t.url, ctx.Err())
		}
		return nil, &AuthError{URL: t.url, Err: dial.Explain(err)}
	}
	return &sshSession{peer: t, client: ssh.NewClient(c, chans, reqs), stop: stop}, nil
}

// sshSession is git-upload-pack on a server, until it is closed.
type sshSession struct {
	peer   *sshPeer
	client *ssh.Client
	stop   func() bool
	run    *ssh.Session
	in     io.WriteCloser
	out    io.Reader
	stderr beginning // read after its writer has ended
}

func (s *sshSession) start(path string) (err error) {
	if s.run, err = s.client.NewSession(); err != nil {
		return err
	}
	s.run.Stderr = &s.stderr
	if s.in, err = s.run.StdinPipe(); err != nil {
		return err
	}
	if s.out, err = s.run.StdoutPipe(); err != nil {
		return err
	}
	return s.run.Start("git-upload-pack " + quote(path))
}

// AdvertisedReferencesContext reads what the server says first.
func (s *sshSession) AdvertisedReferencesContext(context.Context) (*packp.AdvRefs, error) {
	refs := packp.NewAdvRefs()
	err := refs.Decode(s.peer.listing(s.out))
	switch {
	case errors.Is(err, packp.ErrEmptyInput):
		_ = s.run.Wait() // for all of stderr
		return nil, s.refusal()
	case errors.Is(err, packp.ErrEmptyAdvRefs):
		return nil, transport.ErrEmptyRemoteRepository
	case err != nil:
		return nil, err
	}
	transport.FilterUnsupportedCapabilities(refs.Capabilities) // as go-git's own transports do
	return refs, nil
}

// refusal tells why the server's git did not answer.
func (s *sshSession) refusal() error {
	said := strings.TrimSpace(string(s.stderr))
	if said == "" {
		return fmt.Errorf("asking %s: the server closes the connection", s.peer.url)
	}
	lower := strings.ToLower(said)
	if strings.Contains(lower, "not found") || strings.Contains(lower, "not appear to be a git repository") || strings.Contains(lower, "does not exist") {
		return &NotFoundError{Where: s.peer.url, Hint: fmt.Sprintf("the server says %q", said)}
	}
	return fmt.Errorf("asking %s: the server says %q", s.peer.url, said)
}

// UploadPack asks for a pack.
func (s *sshSession) UploadPack(_ context.Context, q *packp.UploadPackRequest) (io.ReadCloser, error) {
	var b bytes.Buffer
	err := errors.Join(q.UploadRequest.Encode(&b), q.UploadHaves.Encode(&b, false), pktline.NewEncoder(&b).EncodeString("done\n"))
	if err == nil {
		_, err = s.in.Write(b.Bytes())
	}
	if err != nil {
		return nil, err
	}
	res := packp.NewUploadPackResponse(q)
	return res, res.Decode(io.NopCloser(s.peer.fetched(s.out)))
}

// Close ends the connection; a flush is a polite way to say so.
func (s *sshSession) Close() error {
	if s.in != nil {
		_, _ = s.in.Write(pktline.FlushPkt)
	}
	s.stop()
	return s.client.Close()
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// beginning keeps the first bytes that are written to it.
type beginning []byte

// Write implements io.Writer.
func (b *beginning) Write(p []byte) (int, error) {
	*b = append(*b, p[:min(len(p), 1024-len(*b))]...)
	return len(p), nil
}
