package git

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// sshServer serves git-upload-pack to one key.
type sshServer struct {
	addr       string
	knownHosts []byte
	clientKey  []byte
	config     *ssh.ServerConfig
}

func newKey(t *testing.T) (ssh.Signer, []byte) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	return signer, pem.EncodeToMemory(block)
}

func serveSSH(t *testing.T) *sshServer {
	t.Helper()
	host, _ := newKey(t)
	client, private := newKey(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	s := &sshServer{addr: l.Addr().String(), clientKey: private}
	_, port, _ := net.SplitHostPort(s.addr)
	s.knownHosts = fmt.Appendf(nil, "[127.0.0.1]:%s %s", port, ssh.MarshalAuthorizedKey(host.PublicKey()))
	s.config = &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, k ssh.PublicKey) (*ssh.Permissions, error) {
		if string(k.Marshal()) != string(client.PublicKey().Marshal()) {
			return nil, errors.New("another key")
		}
		return nil, nil
	}}
	s.config.AddHostKey(host)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go s.connection(c)
		}
	}()
	return s
}

func (s *sshServer) connection(c net.Conn) {
	_, channels, requests, err := ssh.NewServerConn(c, s.config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for nc := range channels {
		ch, requests, err := nc.Accept()
		if err != nil {
			return
		}
		go s.session(ch, requests)
	}
}

func (s *sshServer) session(ch ssh.Channel, requests <-chan *ssh.Request) {
	defer func() { _ = ch.Close() }()
	for q := range requests {
		switch q.Type {
		case "exec":
			var command struct{ Line string }
			_ = q.Reply(ssh.Unmarshal(q.Payload, &command) == nil, nil)
			cmd := exec.Command("sh", "-c", command.Line)
			cmd.Env, cmd.Stdout, cmd.Stderr = gitEnv, ch, ch.Stderr()
			in, err := cmd.StdinPipe()
			if err != nil || cmd.Start() != nil {
				return
			}
			go func() {
				_, _ = io.Copy(in, ch)
				_ = in.Close()
			}()
			code := 0
			if cmd.Wait() != nil {
				code = 128
			}
			_, _ = ch.SendRequest("exit-status", false, ssh.Marshal(struct{ Code uint32 }{uint32(code)}))
			return
		}
	}
}

func TestSSH(t *testing.T) {
	s := serveSSH(t)
	dir := newRepo(t)
	url := "ssh://git@" + s.addr + dir
	auth := Auth{SSHKey: s.clientKey, KnownHosts: s.knownHosts}
	r := open(t, Source{URL: url, Auth: auth})
	first := resolve(t, r)
	if resolve(t, r) != first || text(t, first, "a.yaml") != "a: 1\n" {
		t.Error("the first commit")
	}
	commit(t, dir, "a.yaml", "a: 2\n")
	if second := resolve(t, r); text(t, second, "a.yaml") != "a: 2\n" || !strings.HasPrefix(second.Revision, "main@") {
		t.Error("the second commit")
	}
	if n := r.origin.(*remote).cache.current.fetches(); n != 2 {
		t.Errorf("the second commit was not added to the store: it has %d", n)
	}
	c := resolve(t, open(t, Source{URL: url, Auth: auth, Ref: Ref{Commit: run(t, dir, "rev-parse", "HEAD")}}))
	if text(t, c, "a.yaml") != "a: 2\n" {
		t.Error("a commit by id")
	}
	var nf *NotFoundError
	var tb *TooBigError
	for _, missing := range []Source{
		{URL: "ssh://" + s.addr + filepath.Join(dir, "it's nothing"), Auth: auth}, {URL: url, Auth: auth, Ref: Ref{Branch: "nope"}},
		{URL: url, Auth: auth, Ref: Ref{Commit: strings.Repeat("1", 40)}},
	} {
		if _, err := open(t, missing).Resolve(context.Background()); !errors.As(err, &nf) || !strings.Contains(err.Error(), "ssh://") {
			t.Errorf("%s %s: %v", missing.URL, missing.Ref, err)
		}
	}
	for _, l := range []Limits{{Refs: 100}, {Pack: 250}} {
		if _, err := open(t, Source{URL: url, Auth: auth, Limits: l}).Resolve(context.Background()); !errors.As(err, &tb) || tb.Limit > 250 {
			t.Errorf("%+v: %v", l, err)
		}
	}
}

// A server that accepts a connection and says nothing.
func TestSSHTimeout(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	s := serveSSH(t)
	r, err := Open(Source{URL: "ssh://" + l.Addr().String() + "/x", Auth: Auth{SSHKey: s.clientKey, KnownHosts: s.knownHosts}},
		Options{Cache: t.TempDir(), Timeout: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	if _, err := r.Resolve(context.Background()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestSSHTrust(t *testing.T) {
	s := serveSSH(t)
	dir := newRepo(t)
	url := "ssh://git@" + s.addr + dir
	_, stranger := newKey(t)
	other := serveSSH(t)
	_, port, _ := net.SplitHostPort(s.addr)
	_, otherPort, _ := net.SplitHostPort(other.addr)
	wrongHost := []byte(strings.Replace(string(other.knownHosts), otherPort, port, 1))
	for name, c := range map[string]struct {
		Auth
		want string
	}{
		"no known_hosts":       {Auth{SSHKey: s.clientKey}, "'known_hosts' is required"},
		"no key":               {Auth{KnownHosts: s.knownHosts}, "'identity' is required"},
		"broken key":           {Auth{SSHKey: []byte("x"), KnownHosts: s.knownHosts}, "reading the SSH key"},
		"unknown host":         {Auth{SSHKey: s.clientKey, KnownHosts: other.knownHosts}, "the host is not in known_hosts"},
		"another key of host":  {Auth{SSHKey: s.clientKey, KnownHosts: wrongHost}, "the host has another key than in known_hosts"},
		"a stranger's key":     {Auth{SSHKey: stranger, KnownHosts: s.knownHosts}, "the server refuses this key"},
		"an agent that is not": {Auth{SSHAgent: "/nonexistent/agent", KnownHosts: s.knownHosts}, "asking the SSH agent"},
	} {
		r, err := Open(Source{URL: url, Auth: c.Auth}, Options{Cache: t.TempDir()})
		if err == nil {
			_, err = r.Resolve(context.Background())
			_ = r.Close()
		}
		var au *AuthError
		if !errors.As(err, &au) || !strings.Contains(err.Error(), s.addr) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
