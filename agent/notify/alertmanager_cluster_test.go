//go:build cluster

package notify

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestClusterAlertmanager sends to a real Alertmanager: an alert is open there, stays so with another text, becomes worse, and is resolved. It needs no
// cluster, but what only make cluster-deps installs.
func TestClusterAlertmanager(t *testing.T) {
	base := alertmanagerAt(t)
	receivers := []Receiver{{Name: "on-call", Type: TypeAlertmanager}}
	var box Outbox
	opened := time.Now().Add(-time.Minute).UTC().Truncate(time.Millisecond)
	tell := func(n Notice) {
		t.Helper()
		now := time.Now()
		n.Opened, n.At = opened, now
		if !box.Add(now, n, receivers) {
			t.Fatal("nobody wants it")
		}
		for _, b := range box.Due(now, receivers) {
			err := local.Senders()[TypeAlertmanager].Send(t.Context(), Address{URL: base}, b)
			if box.Done(now, b, err); err != nil {
				t.Fatal(err)
			}
		}
	}
	n := notice("cart", Opened, start)
	tell(n)
	shows(t, base, "warning cart opened")
	n.Phase, n.Title = Updated, "cart is still drifted"
	tell(n)
	shows(t, base, "warning cart is still drifted")
	n.Severity, n.Title = Critical, "cart is worse"
	tell(n)
	shows(t, base, "critical cart is worse")
	other := notice("other", Opened, start)
	tell(other)
	shows(t, base, "critical cart is worse", "warning other opened")
	n.Phase = Resolved
	tell(n)
	shows(t, base, "warning other opened")
}

// alertmanagerAt starts an Alertmanager on a free port of loopback, and gives its address.
func alertmanagerAt(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("prometheus-alertmanager")
	if err != nil {
		t.Fatal("there is no prometheus-alertmanager; make cluster-deps installs it")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	dir := t.TempDir()
	config := filepath.Join(dir, "alertmanager.yml")
	if err := os.WriteFile(config, []byte("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "--config.file="+config, "--storage.path="+dir, "--web.listen-address="+address, "--cluster.listen-address=")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	base := "http://" + address
	until(t, "the Alertmanager to be ready", func() error { _, err := get(base + "/-/ready"); return err })
	return base
}

// shows waits until an Alertmanager shows exactly these alerts as active: severity and summary.
func shows(t *testing.T, base string, want ...string) {
	t.Helper()
	until(t, fmt.Sprintf("the alerts %q", want), func() error {
		body, err := get(base + "/api/v2/alerts?active=true")
		if err != nil {
			return err
		}
		var alerts []struct{ Labels, Annotations map[string]string }
		if err := json.Unmarshal(body, &alerts); err != nil {
			return err
		}
		have := map[string]bool{}
		for _, a := range alerts {
			have[a.Labels["severity"]+" "+a.Annotations["summary"]] = true
		}
		for _, w := range want {
			if !have[w] {
				return fmt.Errorf("there are %v", have)
			}
		}
		if len(have) != len(want) {
			return fmt.Errorf("there are %v", have)
		}
		return nil
	})
}

func get(url string) ([]byte, error) {
	res, err := http.Get(url)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", res.Status, body)
	}
	return body, err
}

func until(t *testing.T, what string, ok func() error) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ok()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waiting for %s: %v", what, err)
		}
	}
}
