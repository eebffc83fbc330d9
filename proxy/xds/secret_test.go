package xds_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"headgate.dev/proxy/envoy"
	"headgate.dev/proxy/model"
	"headgate.dev/proxy/xds"
)

// certificate makes the secret of a self-signed certificate; serial tells it from others.
func certificate(t *testing.T, id model.SecretID, serial int64) xds.Change {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"x.test"}}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return secret(t, id, cert, der)
}

func secret(t *testing.T, id model.SecretID, cert, key []byte) xds.Change {
	t.Helper()
	r, err := envoy.Secret(&model.Secret{
		ID:          id,
		Certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}),
		Key:         pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// tlsListener ends TLS for each of some names, with a certificate of its own, and closes the connection then.
func tlsListener(t *testing.T, port int, names ...string) xds.Change {
	t.Helper()
	l := &model.Listener{Gateway: model.Name{Namespace: "infra", Name: "edge"}, Port: int32(port), Protocol: model.TLS}
	for _, n := range names {
		l.Chains = append(l.Chains, model.Chain{
			ServerName: n, Terminate: &model.Termination{Certificates: []model.SecretID{model.SecretID("certificate/infra/" + n)}},
			Table: model.TableID(fmt.Sprintf("infra/edge/%d/%s", port, n)),
		})
	}
	r, err := envoy.Listener(l, envoy.Options{Bind: func(id model.ListenerID) netip.AddrPort {
		return netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(id.Port))
	}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// serial is that of the certificate which a port shows for a name; 0 when there is none.
func serial(port int, name string) int64 {
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	conn, err := tls.DialWithDialer(dialer, "tcp", fmt.Sprintf("127.0.0.1:%d", port), &tls.Config{ServerName: name, InsecureSkipVerify: true})
	if err != nil {
		return 0
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

// TestEnvoySecrets is the life of certificates on a real Envoy.
func TestEnvoySecrets(t *testing.T) {
	r := newRig(t)
	const a, b, late = model.SecretID("certificate/infra/a.test"), model.SecretID("certificate/infra/b.test"), model.SecretID("certificate/infra/late.test")
	shows := func(name string, want int64) {
		t.Helper()
		eventually(t, fmt.Sprintf("%s shows certificate %d", name, want), func() bool { return serial(r.port, name) == want })
	}
	r.publish(tlsListener(t, r.port, "a.test"), certificate(t, a, 1))
	receive(t, "the first set is answered", r.first)
	shows("a.test", 1)

	t.Run("a chain and its secret in one step", func(t *testing.T) {
		names := []string{"a.test"}
		kept, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", r.port), &tls.Config{ServerName: "a.test", InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer kept.Close()
		in := bufio.NewReader(kept)
		for i := range 10 {
			name := fmt.Sprintf("n%d.test", i)
			names = append(names, name)
			began := time.Now()
			r.publish(tlsListener(t, r.port, names...), certificate(t, model.SecretID("certificate/infra/"+name), int64(100+i)))
			if st := r.wait(); !st.Live() {
				t.Fatalf("not live: %+v", st)
			}
			shows(name, int64(100+i))
			if took := time.Since(began); took > 3*time.Second {
				t.Errorf("a new chain took %s: the listener waited for its secret", took)
			}
			if _, err := io.WriteString(kept, "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			res, err := http.ReadResponse(in, nil)
			if err != nil || res.Close {
				t.Fatalf("the connection of a chain that did not change is closed: %v", err)
			}
		}
	})

	t.Run("a bad secret is refused and the old one serves", func(t *testing.T) {
		bad := secret(t, a, []byte("no certificate"), []byte("no key"))
		r.publish(bad)
		st := r.wait()
		if st.Live() || len(st.Refused) != 1 || st.Refused[0].Key != bad.Key || strings.Contains(st.Refused[0].Message, "PRIVATE") {
			t.Errorf("refused: %+v", st)
		}
		shows("a.test", 1)
		r.publish(certificate(t, a, 2))
		if st := r.wait(); !st.Live() {
			t.Errorf("mended, it is still %+v", st)
		}
		shows("a.test", 2)
	})

	t.Run("the control plane starts again", func(t *testing.T) {
		all := []xds.Change{tlsListener(t, r.port, "a.test", "b.test"), certificate(t, a, 3), certificate(t, b, 4)}
		for _, c := range []struct {
			changes []xds.Change
			want    uint64 // resources that are sent
		}{
			{all, 3}, // listener, a known secret, a new one
			{all, 0}, // nothing is sent again
			{[]xds.Change{all[0], certificate(t, a, 5), all[2]}, 1}, // rotated meanwhile
		} {
			r.stop()
			r.serve()
			r.epoch = 0
			r.publish(c.changes...)
			receive(t, "the proxy has answered", r.first)
			if st := r.wait(); !st.Live() {
				t.Errorf("after the restart: %+v", st)
			}
			eventually(t, "the resources are sent", func() bool { return r.server.Counts().Resources >= c.want })
			if n := r.server.Counts(); n.Resources != c.want {
				t.Errorf("sent %+v, want %d resources", n, c.want)
			}
		}
		shows("a.test", 5)
		shows("b.test", 4)
	})

	t.Run("a secret that comes late", func(t *testing.T) {
		r.publish(tlsListener(t, r.port, "a.test", "b.test", "late.test"))
		r.publish(certificate(t, a, 6)) // is not held up
		shows("a.test", 6)
		if got := serial(r.port, "late.test"); got != 0 {
			t.Errorf("a name without a certificate shows %d", got)
		}
		r.publish(certificate(t, late, 7))
		shows("late.test", 7)
		if st := r.wait(); !st.Live() {
			t.Errorf("not live: %+v", st)
		}
	})

	t.Run("a chain goes with its secret and comes back", func(t *testing.T) {
		gone := []xds.Change{tlsListener(t, r.port, "a.test"), removal(envoy.SecretType, string(b)), removal(envoy.SecretType, string(late))}
		for i := range int64(3) {
			r.publish(gone...)
			if st := r.wait(); !st.Live() {
				t.Errorf("not live: %+v", st)
			}
			shows("b.test", 0)
			r.publish(tlsListener(t, r.port, "a.test", "b.test"), certificate(t, b, 20+i))
			r.wait()
			shows("b.test", 20+i)
			shows("a.test", 6)
		}
	})
	if t.Failed() {
		t.Logf("Envoy's log:\n%s", r.log.String())
	}
}
