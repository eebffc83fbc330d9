package cluster

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

const (
	somePreviews = `{"apiVersion":"headgate.dev/v1alpha1","kind":"PreviewList","items":[
{"metadata":{"namespace":"team-a","name":"shop.pr-42","uid":"1"},"spec":{"sync":"shop","name":"pr-42","number":42,"author":"ada"},"status":{"url":"https://shop-pr-42.preview.example.com"}},
{"metadata":{"namespace":"team-a","name":"shop.pr-43","uid":"2"},"spec":{"sync":"shop","name":"pr-43","number":43},"status":{"conditions":[{"type":"Ready","status":"False","reason":"RenderFailed","message":"shop.yaml:7:3: no"}]}},
{"metadata":{"namespace":"team-a","name":"cart.pr-43","uid":"3"},"spec":{"sync":"cart","name":"pr-43","number":43}}]}`
	someSyncs = `{"apiVersion":"headgate.dev/v1alpha1","kind":"SyncList","items":[{"metadata":{"namespace":"team-a","name":"shop"},"status":{"previews":{"without":[
{"name":"pr-44","number":44,"author":"eve","reason":"Fork","message":"it comes from a fork"}]}}}]}`
)

// TestPreviewArguments: a preview is found by what people call it, and one that there is not says why.
func TestPreviewArguments(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if strings.HasSuffix(q.URL.Path, "/previews") {
			_, _ = w.Write([]byte(somePreviews))
			return
		}
		_, _ = w.Write([]byte(someSyncs))
	}))
	defer server.Close()
	config := kubeconfig(t, server.URL)
	for arg, want := range map[string]string{
		"42": "https://shop-pr-42.preview.example.com\n", "pr-42": "https://shop-pr-42.preview.example.com\n", "#42": "https://shop-pr-42.preview.example.com\n",
		"shop/42": "https://shop-pr-42.preview.example.com\n", "shop.pr-42": "https://shop-pr-42.preview.example.com\n",
		"43": "is a preview of 2 Syncs: name one as SYNC/pr-43", "shop/43": "preview pr-43 of Sync shop has no URL: shop.yaml:7:3: no", "cart/43": "it answers nowhere yet",
		"44": "pr-44 of Sync shop has no preview: it comes from a fork", "45": "there is no preview pr-45 in namespace team-a; headgate preview list -A lists all",
	} {
		out, _, err := run(t, "preview", "open", arg, "--kubeconfig", config)
		if err != nil {
			out = err.Error()
		}
		if !strings.Contains(out, want) {
			t.Errorf("%s: %q, want %q", arg, out, want)
		}
	}
	out, _, err := run(t, "preview", "list", "-o", "json", "--kubeconfig", config)
	if err != nil || strings.Count(out, `"preview":`) != 4 || !strings.Contains(out, `"absent": true`) {
		t.Errorf("%v\n%s", err, out)
	}
	var wrong *UsageError
	if _, _, err := run(t, "preview", "list", "-o", "xml", "--kubeconfig", config); !errors.As(err, &wrong) {
		t.Errorf("an unknown format: %v", err)
	}
	if _, _, err := run(t, "preview", "list", "shop", "-A", "--kubeconfig", config); !errors.As(err, &wrong) {
		t.Errorf("a Sync of all namespaces: %v", err)
	}
}
