package local

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// backend is a real backend that does what a path says: "/slow" waits until the client is gone, "/flaky-N" fails N times with 503 and then answers.
type backend struct {
	came chan struct{} // gets a value for each request, while there is room

	mu   sync.Mutex // guards what follows
	seen map[string][]time.Time
}

func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	b.seen[r.URL.Path] = append(b.seen[r.URL.Path], time.Now())
	n := len(b.seen[r.URL.Path])
	b.mu.Unlock()
	select {
	case b.came <- struct{}{}:
	default:
	}
	var failures int
	switch _, err := fmt.Sscanf(r.URL.Path, "/flaky-%d", &failures); {
	case strings.HasSuffix(r.URL.Path, "/slow"):
		<-r.Context().Done()
	case err == nil && n <= failures:
		http.Error(w, "not yet", http.StatusServiceUnavailable)
	}
}

// times gives when requests with a path came.
func (b *backend) times(path string) []time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]time.Time(nil), b.seen[path]...)
}

// newBackend gives a backend, and where a Service is to find it.
func newBackend(t *testing.T, service string) (*backend, Endpoint) {
	t.Helper()
	b := &backend{came: make(chan struct{}, 1000), seen: map[string][]time.Time{}}
	server := httptest.NewServer(b)
	t.Cleanup(server.Close)
	return b, Endpoint{Service: types.NamespacedName{Namespace: DefaultNamespace, Name: service}, Address: netip.MustParseAddrPort(server.Listener.Addr().String())}
}

// serveExample serves an example and gives the local address of its port 80.
func serveExample(t *testing.T, name string, endpoints ...Endpoint) string {
	t.Helper()
	term := serve(t, os.DirFS(filepath.Join(examplesDir, name)), ".", &clients{}, endpoints...)
	return fmt.Sprintf("http://127.0.0.1:%d", term.ports[80])
}

func ask(t *testing.T, host, url string) (int, time.Duration) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	start := time.Now()
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := answer.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, time.Since(start)
}

// TestTimeoutsAndRetries holds the fields of examples/05 against a backend that fails and is slow: how often it is asked, and when.
func TestTimeoutsAndRetries(t *testing.T) {
	t.Parallel()
	b, endpoint := newBackend(t, "reports")
	url := serveExample(t, "05-timeouts-and-retries", endpoint)
	const host = "reports.localhost"
	if code, _ := ask(t, host, url+"/flaky-3"); code != 200 || len(b.times("/flaky-3")) != 4 {
		t.Errorf("three failures and then an answer: %d after %d requests, want 200 after 4", code, len(b.times("/flaky-3")))
	}
	if code, _ := ask(t, host, url+"/flaky-9"); code != 503 || len(b.times("/flaky-9")) != 4 {
		t.Errorf("only failures: %d after %d requests, want 503 after 4", code, len(b.times("/flaky-9")))
	}
	// An attempt may take 3 s, all together 10 s: the fourth attempt, which would begin after 9 s and back-off, is cut off.
	code, took := ask(t, host, url+"/slow")
	attempts := b.times("/slow")
	if code != 504 || took < 9500*time.Millisecond || took > 15*time.Second || len(attempts) != 4 {
		t.Fatalf("a slow backend: %d after %v and %d attempts, want 504 after 10 s and 4", code, took, len(attempts))
	}
	for i, at := range attempts[1:] {
		if gap := at.Sub(attempts[i]); gap < 2900*time.Millisecond || gap > 5*time.Second {
			t.Errorf("attempt %d came %v after the one before, want 3 s and a back-off", i+2, gap)
		}
	}
}

// TestMirroredCopies counts what the mirrors of examples/13 get, and that nobody waits for them.
func TestMirroredCopies(t *testing.T) {
	t.Parallel()
	_, shop := newBackend(t, "shop")
	next, nextEndpoint := newBackend(t, "shop-next")
	archive, archiveEndpoint := newBackend(t, "archive")
	url := serveExample(t, "13-mirror", shop, nextEndpoint, archiveEndpoint)
	const host, requests = "mirror.localhost", 400
	for range requests {
		if code, _ := ask(t, host, url+"/copied"); code != 200 {
			t.Fatalf("answered %d", code)
		}
	}
	for late := time.After(patience); len(next.times("/copied")) < requests; {
		select {
		case <-next.came:
		case <-late:
			t.Fatalf("the whole mirror got %d of %d requests", len(next.times("/copied")), requests)
		}
	}
	if got := len(next.times("/copied")); got != requests {
		t.Errorf("the whole mirror got %d of %d requests", got, requests)
	}
	// 20 of 400 on average; less than 2 or more than 60 come once in a hundred million runs.
	if got := len(archive.times("/copied")); got < 2 || got > 60 {
		t.Errorf("a mirror of 5 %% got %d of %d requests", got, requests)
	}
}
