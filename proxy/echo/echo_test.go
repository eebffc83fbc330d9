package echo_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"headgate.dev/proxy/echo"
)

// newServers gives a server of each kind: one that shares a socket where the system can, one with a port for each target.
func newServers(t *testing.T) map[string]*echo.Server {
	t.Helper()
	servers := map[string]*echo.Server{"shared": echo.New(echo.Options{}), "perPort": echo.NewPerPort(echo.Options{})}
	for _, s := range servers {
		t.Cleanup(func() { s.Close() })
	}
	return servers
}

func endpoint(t *testing.T, s *echo.Server, target echo.Target) netip.AddrPort {
	t.Helper()
	place, err := s.Endpoint(target)
	if err != nil {
		t.Fatal(err)
	}
	return place
}

func newClient(t *testing.T, h2c bool) *http.Client {
	t.Helper()
	var protocols http.Protocols
	protocols.SetHTTP1(!h2c)
	protocols.SetUnencryptedHTTP2(h2c)
	transport := &http.Transport{Protocols: &protocols}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func do(t *testing.T, c *http.Client, r *http.Request) (int, string) {
	t.Helper()
	response, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func get(t *testing.T, c *http.Client, place netip.AddrPort) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+place.String()+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	return do(t, c, r)
}

func answerOf(t *testing.T, body string) echo.Answer {
	t.Helper()
	var a echo.Answer
	if err := json.Unmarshal([]byte(body), &a); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return a
}

var shop = echo.Target{Namespace: "team-a", Service: "shop", Port: 8080}

func TestAnswerDescribesTheRequest(t *testing.T) {
	for kind, s := range newServers(t) {
		for proto, h2c := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
			t.Run(kind+" "+proto, func(t *testing.T) {
				place := endpoint(t, s, shop)
				r, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
					"http://"+place.String()+"/a%2Fb//c?x=1&y=%20", strings.NewReader(strings.Repeat("x", 1<<20)))
				if err != nil {
					t.Fatal(err)
				}
				r.Host = "Shop.localhost:8080"
				r.Header = http.Header{"X-Ring": {"a", "b"}, "User-Agent": {"test"}, "Accept-Encoding": {"identity"}}
				code, body := do(t, newClient(t, h2c), r)
				if code != http.StatusOK {
					t.Fatalf("status %d: %s", code, body)
				}
				want := `{"namespace":"team-a","service":"shop","port":8080,"protocol":"` + proto + `","method":"POST",` +
					`"host":"Shop.localhost:8080","path":"/a%2Fb//c","query":"x=1&y=%20",` +
					`"headers":{"accept-encoding":["identity"],"content-length":["1048576"],"user-agent":["test"],"x-ring":["a","b"]}}` + "\n"
				if diff := cmp.Diff(want, body); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
			})
		}
	}
}

// Requests that no well-behaved client library sends.
func TestAnswerToRawRequests(t *testing.T) {
	s := echo.New(echo.Options{})
	t.Cleanup(func() { s.Close() })
	place := endpoint(t, s, shop)
	for name, test := range map[string]struct {
		request string
		want    echo.Answer
	}{
		"HTTP/1.0 without a host": {
			"GET /old HTTP/1.0\r\n\r\n",
			echo.Answer{Protocol: "HTTP/1.0", Method: "GET", Path: "/old"},
		},
		"absolute form": {
			"GET http://other.example/p?q HTTP/1.1\r\nHost: shop.example\r\n\r\n",
			echo.Answer{Protocol: "HTTP/1.1", Method: "GET", Host: "other.example", Path: "/p", Query: "q"},
		},
		"OPTIONS *": {
			"OPTIONS * HTTP/1.1\r\nHost: shop.example\r\n\r\n",
			echo.Answer{Protocol: "HTTP/1.1", Method: "OPTIONS", Host: "shop.example", Path: "*"},
		},
		"a path that begins like a host": {
			"BREW //x/../y HTTP/1.1\r\nHost: shop.example\r\n\r\n",
			echo.Answer{Protocol: "HTTP/1.1", Method: "BREW", Host: "shop.example", Path: "//x/../y"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", place.String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, test.request); err != nil {
				t.Fatal(err)
			}
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			if err != nil {
				t.Fatal(err)
			}
			test.want.Namespace, test.want.Service, test.want.Port = shop.Namespace, shop.Service, shop.Port
			test.want.Headers = map[string][]string{}
			if diff := cmp.Diff(test.want, answerOf(t, string(body))); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestTargetsAreToldApart(t *testing.T) {
	for kind, s := range newServers(t) {
		t.Run(kind, func(t *testing.T) {
			client := newClient(t, false)
			seen := map[netip.AddrPort]echo.Target{}
			for _, target := range []echo.Target{
				shop,
				{Namespace: "team-b", Service: "shop", Port: 8080},
				{Namespace: "team-a", Service: "cart", Port: 8080},
				{Namespace: "team-a", Service: "shop", Port: 8081},
				{Namespace: "team-a", Service: "shop", Port: 8082},
			} {
				place := endpoint(t, s, target)
				if other, ok := seen[place]; ok {
					t.Fatalf("%v and %v are both at %v", target, other, place)
				}
				seen[place] = target
				if again := endpoint(t, s, target); again != place {
					t.Errorf("%v moved from %v to %v", target, place, again)
				}
			}
			for place, target := range seen {
				_, body := get(t, client, place)
				a := answerOf(t, body)
				if a.Namespace != target.Namespace || a.Service != target.Service || a.Port != target.Port {
					t.Errorf("%v answered as %+v", target, a)
				}
			}
		})
	}
}

func TestForget(t *testing.T) {
	s := echo.New(echo.Options{})
	t.Cleanup(func() { s.Close() })
	client := newClient(t, false)
	place := endpoint(t, s, shop)
	if code, body := get(t, client, place); code != http.StatusOK {
		t.Fatalf("status %d: %s", code, body)
	}
	s.Forget(shop)
	s.Forget(shop)
	if code, body := get(t, client, place); code != http.StatusServiceUnavailable || !strings.Contains(body, place.String()) {
		t.Errorf("status %d on a connection of before: %s", code, body)
	}
	if again := endpoint(t, s, shop); again == place {
		t.Errorf("%v was given away again at once", place)
	}
}

func TestForgetClosesThePort(t *testing.T) {
	s := echo.NewPerPort(echo.Options{})
	t.Cleanup(func() { s.Close() })
	place := endpoint(t, s, shop)
	s.Forget(shop)
	if conn, err := net.Dial("tcp", place.String()); err == nil {
		conn.Close()
		t.Errorf("%v is still open", place)
	}
}

func TestClose(t *testing.T) {
	for kind, s := range newServers(t) {
		t.Run(kind, func(t *testing.T) {
			place := endpoint(t, s, shop)
			for range 2 {
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}
			if conn, err := net.Dial("tcp", place.String()); err == nil {
				conn.Close()
				t.Errorf("%v is still open", place)
			}
			if _, err := s.Endpoint(shop); !errors.Is(err, http.ErrServerClosed) {
				t.Errorf("an endpoint after Close: %v", err)
			}
		})
	}
	if err := echo.New(echo.Options{}).Close(); err != nil {
		t.Errorf("closing a server that never served: %v", err)
	}
}

// A machine's own outside address is reached over the loopback device too, and is nobody's endpoint.
func TestOnlyLoopbackIsServed(t *testing.T) {
	s := echo.New(echo.Options{})
	t.Cleanup(func() { s.Close() })
	port := endpoint(t, s, shop).Port()
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		prefix, err := netip.ParsePrefix(a.String())
		if err != nil || prefix.Addr().IsLoopback() || !prefix.Addr().Is4() {
			continue
		}
		place := netip.AddrPortFrom(prefix.Addr(), port)
		response, err := newClient(t, false).Get("http://" + place.String() + "/")
		if err == nil {
			response.Body.Close()
			t.Errorf("%v answered", place)
		}
	}
}

// For the race detector: everything at once.
func TestConcurrentUse(t *testing.T) {
	s := echo.New(echo.Options{})
	t.Cleanup(func() { s.Close() })
	client := newClient(t, false)
	var all sync.WaitGroup
	for worker := range int32(4) {
		all.Go(func() {
			target := echo.Target{Namespace: "n", Service: "s", Port: 1 + worker}
			for range 50 {
				place, err := s.Endpoint(target)
				if err != nil {
					t.Error(err)
					return
				}
				r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+place.String(), nil)
				if err != nil {
					t.Error(err)
					return
				}
				response, err := client.Do(r)
				if err != nil {
					t.Error(err)
					return
				}
				var a echo.Answer
				if err := json.NewDecoder(response.Body).Decode(&a); err != nil || a.Port != target.Port {
					t.Errorf("%v answered as %+v, %v", target, a, err)
				}
				response.Body.Close()
				s.Forget(target)
			}
		})
	}
	all.Wait()
}
