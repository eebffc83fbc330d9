//go:build cluster

package controller

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"headgate.dev/agent/drift"
	"headgate.dev/render"
	"headgate.dev/render/object"
)

// examples gives the namespaced objects that all examples render to, as a file for each, in the namespace of the test and without two of a name.
func (n *night) examples() []string {
	n.Helper()
	entries, err := os.ReadDir("../../examples")
	n.must(err)
	var files []string
	kinds := map[string]int{}
	seen := map[object.ID]bool{{Group: "gateway.networking.k8s.io", Kind: "HTTPRoute", Namespace: n.namespace, Name: "cart"}: true}
	for _, e := range entries {
		dir := filepath.Join("../../examples", e.Name())
		if overlay := filepath.Join(dir, "overlays", "prod"); exists(overlay) {
			dir = overlay
		}
		if strings.HasPrefix(e.Name(), "90-") || !e.IsDir() {
			continue
		}
		root, sub := dir, "."
		if strings.Contains(dir, "overlays") {
			root, sub = filepath.Dir(filepath.Dir(dir)), "overlays/prod"
		}
		rendered, err := render.Tree(os.DirFS(root), sub, render.Options{Gateway: "edge/public", Namespace: n.namespace})
		n.must(err)
		for o := range rendered.Set.All() {
			if o.ID.Namespace == "" || o.ID.Kind == "Namespace" { // the account may write in its namespace only
				continue
			}
			content := object.CloneMap(o.Content)
			metadata := content["metadata"].(map[string]any)
			metadata["namespace"] = n.namespace
			if annotations, ok := metadata["annotations"].(map[string]any); ok {
				delete(annotations, defaultFor) // there is one such Gateway in each example
			}
			id := o.ID
			if id.Namespace = n.namespace; seen[id] {
				continue
			}
			seen[id] = true
			kinds[id.Kind]++
			text, err := json.Marshal(content)
			n.must(err)
			files = append(files, fmt.Sprintf("examples/%03d.yaml", len(files)), string(text))
		}
	}
	for _, kind := range []string{"HTTPRoute", "GRPCRoute", "TCPRoute", "UDPRoute", "TLSRoute", "Gateway", "ListenerSet", "BackendTLSPolicy", "ReferenceGrant", "ProxyConfig"} {
		if kinds[kind] == 0 {
			n.Errorf("no example has a %s; they have %v", kind, kinds)
		}
	}
	n.Logf("the examples have %v", kinds)
	return files
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// compare compares everything that the Sync owns with what was applied, as the full comparison does, many times.
func (n *night) compare(times int) {
	n.Helper()
	var owned []object.ID
	versions := map[object.ID]string{}
	var as *account
	n.must(n.follows(func(f *follower) bool {
		owned, as = f.state.Owned(), f.account
		for o := range f.set.All() {
			versions[o.ID] = o.Version
		}
		return true
	}))
	var contents []map[string]any
	for _, id := range owned {
		live, err := as.Read(n.Context(), id, versions[id])
		n.must(err)
		if live == nil {
			n.Fatalf("%s is not there", id)
		}
		contents = append(contents, live)
	}
	began := time.Now()
	for range times {
		n.must(n.follows(func(f *follower) bool {
			for _, c := range contents {
				f.effects(f.state.Seen(f.now(), drift.Hide(c, f.drifts.key)))
			}
			return true
		}))
	}
	n.Logf("%d objects were compared %d times in %s", len(owned), times, time.Since(began))
}

// mutate has a webhook change what is applied in the namespace: annotations, labels, another registry, a container beside, timeouts of routes that have none.
func (n *night) mutate() {
	n.Helper()
	api, err := url.Parse(n.config.Host)
	n.must(err)
	conn, err := net.Dial("udp", api.Host)
	n.must(err)
	host := conn.LocalAddr().(*net.UDPAddr).IP
	conn.Close()
	l, err := net.Listen("tcp", net.JoinHostPort(host.String(), "0"))
	n.must(err)
	certificate, ca := certificateOf(n.world, host)
	var calls atomic.Int64
	server := &httptest.Server{Listener: l, TLS: &tls.Config{Certificates: []tls.Certificate{certificate}}, Config: &http.Server{Handler: http.HandlerFunc(
		func(w http.ResponseWriter, q *http.Request) {
			calls.Add(1)
			var review admissionv1.AdmissionReview
			if err := json.NewDecoder(q.Body).Decode(&review); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			kind := admissionv1.PatchTypeJSONPatch
			review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: true, PatchType: &kind, Patch: mutation(review.Request.Object.Raw)}
			review.Request = nil
			_ = json.NewEncoder(w).Encode(review)
		})}}
	server.StartTLS()
	n.Cleanup(server.Close)
	address := "https://" + l.Addr().String() + "/"
	none, ignore, every := admissionregistrationv1.SideEffectClassNone, admissionregistrationv1.Ignore, admissionregistrationv1.AllScopes
	hook := &admissionregistrationv1.MutatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: n.namespace}, Webhooks: []admissionregistrationv1.MutatingWebhook{{
		Name: "mutate.night.example.com", SideEffects: &none, FailurePolicy: &ignore, AdmissionReviewVersions: []string{"v1"},
		ClientConfig:      admissionregistrationv1.WebhookClientConfig{URL: &address, CABundle: ca},
		NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": n.namespace}},
		Rules: []admissionregistrationv1.RuleWithOperations{{
			Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create, admissionregistrationv1.Update},
			Rule: admissionregistrationv1.Rule{
				APIGroups: []string{"", "apps", "gateway.networking.k8s.io", "headgate.dev"}, APIVersions: []string{"*"},
				Resources: []string{"configmaps", "services", "deployments", "httproutes", "grpcroutes", "gateways", "proxyconfigs"}, Scope: &every,
			},
		}},
	}}}
	n.must(client.IgnoreNotFound(n.Delete(n.Context(), hook.DeepCopy())))
	n.must(n.Create(n.Context(), hook))
	n.Cleanup(func() {
		if err := n.Delete(context.Background(), hook); err != nil {
			n.Error(err)
		}
		if calls.Load() == 0 {
			n.Error("the webhook was never asked")
		}
	})
	n.until("the webhook is asked", func(context.Context) error {
		n.must(n.apply(fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: probe, namespace: %s, annotations: {example.com/at: %q}}\n", n.namespace, time.Now())))
		if calls.Load() == 0 {
			return fmt.Errorf("it is not")
		}
		return nil
	})
}

// mutation is a JSON patch of an object, nothing where it was changed before.
func mutation(raw []byte) []byte {
	var o struct {
		Kind     string
		Metadata struct{ Annotations, Labels map[string]string }
		Spec     struct {
			Rules    []map[string]any
			Template struct {
				Spec struct {
					Containers []struct{ Name string }
				}
			}
		}
	}
	if json.Unmarshal(raw, &o) != nil {
		return nil
	}
	type change struct {
		Op    string `json:"op"`
		Path  string `json:"path"`
		Value any    `json:"value"`
	}
	var out []change
	if o.Metadata.Annotations != nil {
		out = append(out, change{"add", "/metadata/annotations/night.example.com~1seen", "yes"})
	}
	if o.Metadata.Labels != nil {
		out = append(out, change{"add", "/metadata/labels/cost-centre", "7"})
	}
	containers := o.Spec.Template.Spec.Containers
	if o.Kind == "Deployment" {
		out = append(out, change{"replace", "/spec/template/spec/containers/0/image", "mirror.invalid/web"})
		if !slices.ContainsFunc(containers, func(c struct{ Name string }) bool { return c.Name == "beside" }) {
			out = append(out, change{"add", "/spec/template/spec/containers/-", map[string]any{"name": "beside", "image": "mirror.invalid/beside"}})
		}
	}
	for i, rule := range o.Spec.Rules {
		if o.Kind == "HTTPRoute" && rule["timeouts"] == nil && rule["backendRefs"] != nil {
			out = append(out, change{"add", fmt.Sprintf("/spec/rules/%d/timeouts", i), map[string]any{"request": "15s"}})
		}
	}
	text, err := json.Marshal(out)
	if err != nil || out == nil {
		return []byte("[]")
	}
	return text
}

// certificateOf makes a certificate of an address, which is its own authority.
func certificateOf(w *world, host net.IP) (tls.Certificate, []byte) {
	w.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	w.must(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{host},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	w.must(err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
