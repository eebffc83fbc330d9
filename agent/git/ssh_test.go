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

	"golang.org/x/crypto/ssh"
)

// sshServer serves git-upload-pack to one key.
type sshServer struct {
	addr       string
	knownHosts []byte
	clientKey  []byte
	config     *ssh.ServerConfig
	acceptEnv  bool
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

func serveSSH(t *testing.T, acceptEnv bool) *sshServer {
	t.Helper()
	host, _ := newKey(t)
	client, private := newKey(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	s := &sshServer{addr: l.Addr().String(), clientKey: private, acceptEnv: acceptEnv}
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
	env := gitEnv
	for q := range requests {
		switch q.Type {
		case "env":
			var kv struct{ Name, Value string }
			if s.acceptEnv && ssh.Unmarshal(q.Payload, &kv) == nil {
				env = append(env[:len(env):len(env)], kv.Name+"="+kv.Value)
			}
			_ = q.Reply(s.acceptEnv, nil)
		case "exec":
			var command struct{ Line string }
			_ = q.Reply(ssh.Unmarshal(q.Payload, &command) == nil, nil)
			cmd := exec.Command("sh", "-c", command.Line)
			cmd.Env, cmd.Stdout, cmd.Stderr = env, ch, ch.Stderr()
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
	for _, v2 := range []bool{true, false} {
		s := serveSSH(t, v2)
		dir := newRepo(t)
		url := "ssh://git@" + s.addr + dir
		auth := Auth{SSHKey: s.clientKey, KnownHosts: s.knownHosts}
		r := open(t, Source{URL: url, Auth: auth})
		first := resolve(t, r)
		if resolve(t, r) != first || text(t, first, "a.yaml") != "a: 1\n" {
			t.Errorf("version 2 %v: the first commit", v2)
		}
		commit(t, dir, "a.yaml", "a: 2\n")
		if second := resolve(t, r); text(t, second, "a.yaml") != "a: 2\n" || !strings.HasPrefix(second.Revision, "main@") {
			t.Errorf("version 2 %v: the second commit", v2)
		}
		c := resolve(t, open(t, Source{URL: url, Auth: auth, Ref: Ref{Commit: run(t, dir, "rev-parse", "HEAD")}}))
		if text(t, c, "a.yaml") != "a: 2\n" {
			t.Errorf("version 2 %v: a commit by id", v2)
		}
		_, err := open(t, Source{URL: "ssh://" + s.addr + filepath.Join(dir, "it's nothing"), Auth: auth}).Resolve(context.Background())
		var nf *NotFoundError
		if !errors.As(err, &nf) {
			t.Errorf("a repository that is not there: %v", err)
		}
	}
}

func TestSSHTrust(t *testing.T) {
	s := serveSSH(t, true)
	dir := newRepo(t)
	url := "ssh://git@" + s.addr + dir
	_, stranger := newKey(t)
	other := serveSSH(t, true)
	_, port, _ := net.SplitHostPort(s.addr)
	_, otherPort, _ := net.SplitHostPort(other.addr)
	wrongHost := []byte(strings.Replace(string(other.knownHosts), otherPort, port, 1))
	for name, a := range map[string]Auth{
		"no known_hosts":       {SSHKey: s.clientKey},
		"no key":               {KnownHosts: s.knownHosts},
		"broken key":           {SSHKey: []byte("x"), KnownHosts: s.knownHosts},
		"unknown host":         {SSHKey: s.clientKey, KnownHosts: other.knownHosts},
		"another key of host":  {SSHKey: s.clientKey, KnownHosts: wrongHost},
		"a stranger's key":     {SSHKey: stranger, KnownHosts: s.knownHosts},
		"an agent that is not": {SSHAgent: "/nonexistent/agent", KnownHosts: s.knownHosts},
	} {
		r, err := Open(Source{URL: url, Auth: a}, Options{Cache: t.TempDir()})
		if err == nil {
			_, err = r.Resolve(context.Background())
			_ = r.Close()
		}
		var au *AuthError
		if !errors.As(err, &au) || !strings.Contains(err.Error(), s.addr) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
