package local

import (
	"bufio"
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	crand "crypto/rand"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"headgate.dev/proxy/echo"
)

// patience bounds every conversation.
const patience = 20 * time.Second

// terminal does commands against the Envoy of one example.
type terminal struct {
	*clients
	ports map[int32]uint16 // ports of Gateways to local ones
}

// clients is what the clients of an example trust and show.
type clients struct {
	roots       *x509.CertPool
	certificate tls.Certificate // signed by the CA that the tree has as ca.crt; empty without one
}

// newClients gives the files of an example, where a CA whose key nobody has is replaced by one that signed the certificate of the clients.
func newClients(t *testing.T, tree fs.FS) (fs.FS, *clients) {
	t.Helper()
	c := &clients{roots: x509.NewCertPool()}
	if _, err := fs.Stat(tree, "ca.crt"); err != nil {
		return tree, c
	}
	var bundle []byte
	bundle, c.certificate = issueClient(t)
	out := fstest.MapFS{"ca.crt": {Data: bundle, Mode: 0o644}}
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || out[name] != nil {
			return err
		}
		data, err := fs.ReadFile(tree, name)
		out[name] = &fstest.MapFile{Data: data, Mode: 0o644}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out, c
}

// issueClient makes a CA and a client's certificate that it signed.
func issueClient(t *testing.T) (bundle []byte, client tls.Certificate) {
	t.Helper()
	sign := func(template, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if parent == nil {
			parent, parentKey = template, key
		}
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
		der, err := x509.CreateCertificate(crand.Reader, template, parent, key.Public(), parentKey)
		if err != nil {
			t.Fatal(err)
		}
		out, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return out, key
	}
	ca, caKey := sign(&x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "clients"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, nil, nil)
	leaf, key := sign(&x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "ada"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, ca, caKey)
	bundle = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Raw})
	return bundle, tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key}
}

// do does one command. An error is its answer.
func (term *terminal) do(words []string) answer {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, a, err := readCommand(words), answer{}, error(nil)
	switch c.program {
	case "curl":
		a, err = term.curl(ctx, c)
	case "grpcurl":
		a, err = term.grpcurl(ctx, c)
	case "websocat":
		a, err = term.websocat(ctx, c)
	case "nc":
		a, err = term.netcat(ctx, c)
	case "openssl":
		a, err = term.openssl(ctx, c)
	default:
		err = fmt.Errorf("%s: unknown command", c.program)
	}
	if err != nil {
		a.first = "no answer: " + reason(err)
	}
	return a
}

// reason says why there is no answer, without addresses.
func reason(err error) string {
	text := err.Error()
	if i := strings.LastIndex(text, "tls: "); i >= 0 {
		return text[i:]
	}
	if closed(err) {
		return "the connection is closed"
	}
	return text
}

// closed: the other side ended the connection. For an end before its first frame the HTTP/2 client exports no error.
func closed(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		strings.Contains(err.Error(), "http2: client conn could not be established")
}

// command is a command line with its flags.
type command struct {
	program string
	args    []string
	headers [][2]string
	flags   map[string]string
}

// valued are the flags that have a value.
const valued = " -H -X -d --cacert --cert --key -CAfile -servername -connect "

func readCommand(words []string) command {
	c := command{program: words[0], flags: map[string]string{}}
	for i := 1; i < len(words); i++ {
		w := words[i]
		switch {
		case w == "-H" && i+1 < len(words):
			name, value, _ := strings.Cut(words[i+1], ":")
			c.headers = append(c.headers, [2]string{strings.TrimSpace(name), strings.TrimSpace(value)})
			i++
		case strings.Contains(valued, " "+w+" ") && i+1 < len(words):
			c.flags[w] = words[i+1]
			i++
		case strings.HasPrefix(w, "-"):
			c.flags[w] = "yes"
		default:
			c.args = append(c.args, w)
		}
	}
	return c
}

// local gives the address at which a port of `headgate up` is served here.
func (term *terminal) local(port string) string {
	for gateway, local := range term.ports {
		if strconv.Itoa(int((&portMap{}).wanted(gateway))) == port {
			return net.JoinHostPort("127.0.0.1", strconv.Itoa(int(local)))
		}
	}
	return net.JoinHostPort("127.0.0.1", port) // where there is nothing
}

// shown gives a URL with the ports of `headgate up` in place of the local ones.
func (term *terminal) shown(location string) string {
	for gateway, local := range term.ports {
		location = strings.Replace(location, fmt.Sprintf(":%d", local), fmt.Sprintf(":%d", (&portMap{}).wanted(gateway)), 1)
	}
	return location
}

func (term *terminal) dial(ctx context.Context, network, port string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, term.local(port))
	if err != nil {
		return nil, err
	}
	deadline, _ := ctx.Deadline()
	return conn, conn.SetDeadline(deadline)
}

// tls is what a client trusts and shows, if its command says so.
func (term *terminal) tls(c command, host string) *tls.Config {
	config := &tls.Config{ServerName: host, RootCAs: x509.NewCertPool()}
	if c.flags["--cacert"]+c.flags["-CAfile"] != "" {
		config.RootCAs = term.roots
	}
	if c.flags["--cert"] != "" {
		config.Certificates = []tls.Certificate{term.certificate}
	}
	return config
}

func (term *terminal) curl(ctx context.Context, c command) (answer, error) {
	u, err := url.Parse(strings.Join(c.args, " "))
	if err != nil {
		return answer{}, err
	}
	method := http.MethodGet
	if c.flags["-X"] != "" {
		method = c.flags["-X"]
	}
	r, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		return answer{}, err
	}
	for _, h := range c.headers {
		if r.Header.Add(h[0], h[1]); strings.EqualFold(h[0], "host") {
			r.Host = h[1]
		}
	}
	transport := &http.Transport{
		ForceAttemptHTTP2: true, TLSClientConfig: term.tls(c, u.Hostname()), DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return term.dial(ctx, network, u.Port())
		},
	}
	response, err := transport.RoundTrip(r)
	if err != nil && closed(err) && u.Scheme == "https" {
		err = cmp.Or(term.alert(ctx, c, u), err)
	}
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return answer{}, err
	}
	a := answer{first: strconv.Itoa(response.StatusCode), got: func(name string) string { return strings.Join(response.Header.Values(name), ", ") }}
	var e echo.Answer
	if json.Unmarshal(body, &e) == nil {
		a.first += fmt.Sprintf(" from %s/%s:%d", e.Namespace, e.Service, e.Port)
		a.sent = func(name string) string {
			special := map[string]string{"host": term.shown(e.Host), "method": e.Method, "path": e.Path, "query": e.Query, "serverName": e.ServerName}
			if value, is := special[name]; is {
				return value
			}
			return strings.Join(e.Headers[strings.ToLower(name)], ", ")
		}
	}
	if location := response.Header.Get("Location"); location != "" {
		a.first += " to " + term.shown(location)
	}
	return a, nil
}

// alert connects and waits for what the server says by itself: with TLS 1.3 it refuses a client's certificate when the client
// already sends, which may then see the end instead of the alert. Without an alert the error is nil.
func (term *terminal) alert(ctx context.Context, c command, u *url.URL) error {
	conn, err := term.dial(ctx, "tcp", u.Port())
	if err != nil {
		return err
	}
	defer conn.Close()
	config := term.tls(c, u.Hostname())
	config.NextProtos = []string{"h2"} // whose server speaks first
	if _, err = tls.Client(conn, config).Read(make([]byte, 1)); err != nil && strings.Contains(err.Error(), "tls: ") {
		return err
	}
	return nil
}

// grpcurl calls any method with an empty message: the echo backend has no schema.
func (term *terminal) grpcurl(ctx context.Context, c command) (answer, error) {
	host, port, err := net.SplitHostPort(c.args[0])
	if err != nil {
		return answer{}, err
	}
	conn, err := grpc.NewClient("passthrough:///"+term.local(port), grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithAuthority(host))
	if err != nil {
		return answer{}, err
	}
	defer conn.Close()
	for _, h := range c.headers {
		ctx = metadata.AppendToOutgoingContext(ctx, h[0], h[1])
	}
	var header metadata.MD
	target := &wrapperspb.StringValue{}
	err = conn.Invoke(ctx, "/"+c.args[1], &emptypb.Empty{}, target, grpc.Header(&header))
	a := answer{first: status.Code(err).String(), got: func(name string) string { return strings.Join(header.Get(name), ", ") }}
	if err == nil {
		a.first += " from " + target.Value
	} else if message := status.Convert(err).Message(); message != "" {
		a.first += ": " + message
	}
	return a, nil
}

func (term *terminal) websocat(ctx context.Context, c command) (answer, error) {
	u, err := url.Parse(c.args[0])
	if err != nil {
		return answer{}, err
	}
	conn, err := term.dial(ctx, "tcp", u.Port())
	if err != nil {
		return answer{}, err
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", u.Path, u.Host)
	r := bufio.NewReader(conn)
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		return answer{}, err
	}
	a := answer{first: strconv.Itoa(response.StatusCode)}
	if response.StatusCode != http.StatusSwitchingProtocols {
		return a, nil
	}
	head := make([]byte, 2) // of a text frame with less than 126 bytes
	if _, err := io.ReadFull(r, head); err != nil {
		return answer{}, err
	}
	text := make([]byte, head[1])
	_, err = io.ReadFull(r, text)
	a.first += " from " + string(text)
	return a, err
}

func (term *terminal) netcat(ctx context.Context, c command) (answer, error) {
	network := "tcp"
	if c.flags["-u"] != "" {
		network = "udp"
	}
	conn, err := term.dial(ctx, network, c.args[1])
	if err != nil {
		return answer{}, err
	}
	return converse(conn)
}

func (term *terminal) openssl(ctx context.Context, c command) (answer, error) {
	_, port, err := net.SplitHostPort(c.flags["-connect"])
	if err != nil {
		return answer{}, err
	}
	conn, err := term.dial(ctx, "tcp", port)
	if err != nil {
		return answer{}, err
	}
	return converse(tls.Client(conn, term.tls(c, c.flags["-servername"])))
}

// converse says something on a connection: the echo backend says first who it is, and then the same.
func converse(conn net.Conn) (answer, error) {
	defer conn.Close()
	const say = "hello\n"
	if _, err := io.WriteString(conn, say); err != nil {
		return answer{}, err
	}
	in := make([]byte, 1000)
	var got string
	for !strings.HasSuffix(got, say) {
		n, err := conn.Read(in)
		if err != nil {
			return answer{}, err
		}
		got += string(in[:n])
	}
	return answer{first: "connected to " + strings.TrimSuffix(got, "\n"+say)}, nil
}
