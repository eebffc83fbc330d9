//go:build cluster

package controller

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/schema"
)

// change changes a Sync.
func (w *world) change(s *schema.Sync, f func(*schema.Sync)) {
	w.Helper()
	w.until("changing Sync "+s.Name, func(ctx context.Context) error {
		now := &schema.Sync{}
		if err := w.Get(ctx, client.ObjectKeyFromObject(s), now); err != nil {
			return err
		}
		f(now)
		return w.Update(ctx, now)
	})
}

func (w *world) gone(o client.Object) {
	w.Helper()
	w.until(fmt.Sprintf("%T %s goes", o, o.GetName()), func(ctx context.Context) error {
		if err := w.Get(ctx, client.ObjectKeyFromObject(o), o); !apierrors.IsNotFound(err) {
			return errors.Join(err, errors.New("it is still there"))
		}
		return nil
	})
}

func (w *world) configMap(name string) (string, error) {
	var c corev1.ConfigMap
	err := w.Get(w.Context(), client.ObjectKey{Namespace: w.namespace, Name: name}, &c)
	return c.Data["a"], err
}

func configMap(name, value string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + "}\ndata: {a: \"" + value + "\"}\n"
}

func (w *world) has(name, value string) {
	w.Helper()
	w.until("ConfigMap "+name+" is "+value, func(context.Context) error {
		if got, err := w.configMap(name); err != nil || got != value {
			return fmt.Errorf("it is %q: %w", got, err)
		}
		return nil
	})
}

// message waits until Ready is False for a reason, and gives what it says.
func (w *world) message(s *schema.Sync, reason string) string {
	w.Helper()
	now := w.condition(s, schema.SyncReady, metav1.ConditionFalse, reason, "")
	return meta.FindStatusCondition(now.Status.Conditions, schema.SyncReady).Message
}

func (w *world) contains(what, text string, parts ...string) {
	w.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			w.Errorf("%s: %q is not in %q", what, part, text)
		}
	}
}

// TestClusterSyncSpec holds what the fields of a Sync say: values, suspension, a pin, order, deletion.
func TestClusterSyncSpec(t *testing.T) {
	w := newWorld(t, "headgate-sync-spec")
	repo := w.repository()
	w.start(Options{})

	// Values come from a ConfigMap, and when it changes so does what is applied, with no commit.
	values := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "values"}, Data: map[string]string{"REGION": "eu"}}
	w.must(w.Create(t.Context(), values))
	first := repo.commit("Begin", "a/a.yaml", configMap("a", "${REGION}-${STAGE}"), "b/b.yaml", configMap("b", "one"))
	s := repo.sync("values", func(spec *schema.SyncSpec) {
		spec.Path = "a"
		spec.Substitute = &schema.SyncSubstitute{
			Variables: map[string]schema.SyncValue{"STAGE": "prod"}, From: []schema.SyncSubstituteFrom{{Kind: "ConfigMap", Name: "values"}},
		}
	})
	w.ready(s, first)
	w.has("a", "eu-prod")
	values.Data["REGION"] = "us"
	w.must(w.Update(t.Context(), values))
	w.has("a", "us-prod")

	// One that waits for another that does not exist, until it does.
	after := repo.sync("after", func(spec *schema.SyncSpec) {
		spec.Path, spec.DependsOn = "b", []schema.SyncReference{{Name: "before"}}
		spec.Interval = "1h"
	})
	w.contains("a dependency", w.message(after, "DependencyNotReady"), "before", "there is no such Sync")
	before := repo.sync("before", func(spec *schema.SyncSpec) { spec.Path = "c" })
	w.message(before, "RenderFailed")
	second := repo.commit("Add c", "c/c.yaml", configMap("c", "one"))
	w.ready(before, second)
	w.ready(after, "")
	w.has("b", "one")

	// Suspended, nothing happens; a request for a look does.
	w.change(before, func(s *schema.Sync) { s.Spec.Suspend = true })
	third := repo.commit("Change c", "c/c.yaml", configMap("c", "two"))
	w.ready(s, third) // another Sync of the same repository has seen it
	w.has("c", "one")
	w.change(before, func(s *schema.Sync) { s.Spec.Suspend, s.Spec.Interval = false, "1h" })
	w.ready(before, third)
	w.has("c", "two")
	fourth := repo.commit("Change c again", "c/c.yaml", configMap("c", "three"))
	w.change(before, func(s *schema.Sync) { s.Annotations = map[string]string{schema.ReconcileRequest: "now"} })
	now := w.ready(before, fourth)
	w.has("c", "three")
	if now.Status.LastHandledReconcileAt != "now" {
		t.Errorf("handled %q", now.Status.LastHandledReconcileAt)
	}

	// A pin goes back and stays, and lets go.
	w.change(before, func(s *schema.Sync) { s.Spec.Pin, s.Spec.Interval = third, "1s" })
	w.ready(before, third)
	w.has("c", "two")
	w.change(before, func(s *schema.Sync) { s.Spec.Pin = "" })
	w.ready(before, fourth)
	w.has("c", "three")

	// Deletion: by default all of it goes, and with Orphan it stays and is nobody's.
	w.change(before, func(s *schema.Sync) { s.Spec.DeletionPolicy = schema.DeletionOrphan })
	w.ready(before, fourth)
	for _, s := range []*schema.Sync{before, after} {
		w.must(w.Delete(t.Context(), s))
		w.gone(s)
	}
	if _, err := w.configMap("b"); !apierrors.IsNotFound(err) {
		t.Errorf("what a deleted Sync owned: %v", err)
	}
	w.has("c", "three")
}

// TestClusterSyncDefaultGateway holds that a Gateway of the cluster becomes the default of specs that name none, and that the rules of Gateway API are left
// to Gateway API.
func TestClusterSyncDefaultGateway(t *testing.T) {
	w := newWorld(t, "headgate-sync-default")
	repo := w.repository()
	w.start(Options{})
	w.must(w.Create(t.Context(), &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: w.namespace},
		Rules: []rbacv1.PolicyRule{{APIGroups: []string{gwv1.GroupName}, Resources: []string{"gateways"}, Verbs: []string{"list"}}}}))
	binding := &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: w.namespace},
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: w.namespace},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: w.namespace, Name: "deployer"}}}
	w.must(w.Create(t.Context(), binding))
	t.Cleanup(func() {
		role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}}
		if err := errors.Join(w.Delete(context.Background(), binding), w.Delete(context.Background(), role)); err != nil {
			t.Error(err)
		}
	})
	commit := repo.commit("Begin", "shop.yaml", spec("shop", "shop.example.com"))
	s := repo.sync("shop", func(spec *schema.SyncSpec) { spec.Gateway = "" })
	w.contains("without a Gateway", w.message(s, "RenderFailed"), "shop.yaml:")
	gateway := &gwv1.Gateway{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "edge", Annotations: map[string]string{defaultFor: w.namespace}}}
	gateway.Spec.GatewayClassName = gwv1.ObjectName(w.namespace)
	gateway.Spec.Listeners = []gwv1.Listener{{Name: "http", Port: 80, Protocol: gwv1.HTTPProtocolType}}
	w.must(w.Create(t.Context(), gateway))
	w.ready(s, commit)
	route, err := w.route("shop")
	w.must(err)
	if ref := route.Spec.ParentRefs[0]; ref.Name != "edge" {
		t.Errorf("the route names %+v", ref)
	}
}

// TestClusterSyncFollows holds what comes from a repository that changes under one's feet.
func TestClusterSyncFollows(t *testing.T) {
	w := newWorld(t, "headgate-sync-follows")
	repo := w.repository()
	w.start(Options{})
	first := repo.commit("Begin", "a.yaml", configMap("a", "one"))
	s := repo.sync("a", nil)
	w.ready(s, first)
	second := repo.commit("Change", "a.yaml", configMap("a", "two"))
	w.ready(s, second)

	repo.git("reset", "-q", "--hard", first)
	w.ready(s, first)
	w.has("a", "one")
	w.event(s, "HistoryRewritten", "main@"+first[:7], "main@"+second[:7])

	repo.git("checkout", "-q", "-b", "other")
	repo.git("branch", "-q", "-D", "main")
	w.change(s, func(s *schema.Sync) { s.Spec.Ref = &schema.SyncRef{Branch: "main"} })
	w.contains("a branch that is gone", w.message(s, "FetchFailed"), "refs/heads/main", "not found", "main@"+first[:7]+" stays applied")
	w.has("a", "one")
	repo.git("branch", "-q", "-m", "main")
	w.ready(s, first)

	// Another host is not followed, and learns nothing.
	other := w.repository()
	var seen http.HandlerFunc = func(http.ResponseWriter, *http.Request) { t.Error("the other host was asked") }
	other.answer.Store(&seen)
	elsewhere := strings.Replace(other.url, "127.0.0.1", "localhost", 1)
	var redirect http.HandlerFunc = func(out http.ResponseWriter, q *http.Request) {
		http.Redirect(out, q, elsewhere+"/info/refs?service=git-upload-pack", http.StatusFound)
	}
	repo.answer.Store(&redirect)
	w.contains("a redirect", w.message(s, "FetchFailed"), "redirect")
	repo.answer.Store(nil)
	w.ready(s, first)

	// Credentials: asked for, wrong, right, another one.
	password := "canary-password-1"
	var guarded http.HandlerFunc = func(out http.ResponseWriter, q *http.Request) {
		if _, got, _ := q.BasicAuth(); got != password {
			out.Header().Set("WWW-Authenticate", "Basic")
			http.Error(out, "no", http.StatusUnauthorized)
			return
		}
		repo.backend.ServeHTTP(out, q)
	}
	repo.answer.Store(&guarded)
	w.contains("no credentials", w.message(s, "FetchFailed"), "authenticating to")
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "git"},
		StringData: map[string]string{"username": "ada", "password": "canary-password-0"}}
	w.must(w.Create(t.Context(), secret))
	w.change(s, func(s *schema.Sync) { s.Spec.SecretRef = &schema.SyncSecret{Name: "git"} })
	w.contains("wrong credentials", w.message(s, "FetchFailed"), "authenticating to")
	secret.StringData = map[string]string{"password": password}
	w.must(w.Update(t.Context(), secret))
	w.ready(s, first)
	w.secrets("canary-password")
}

// event waits for an event about a Sync.
func (w *world) event(s *schema.Sync, reason string, parts ...string) {
	w.Helper()
	w.until("event "+reason, func(ctx context.Context) error {
		var list corev1.EventList
		if err := w.List(ctx, &list, client.InNamespace(s.Namespace)); err != nil {
			return err
		}
		var seen []string
		for _, e := range list.Items {
			if e.InvolvedObject.Name == s.Name && e.Reason == reason {
				w.contains("event "+reason, e.Message, parts...)
				return nil
			}
			seen = append(seen, e.Reason)
		}
		return fmt.Errorf("there are %v", seen)
	})
}

// TestClusterSyncIsolation holds that a Sync can do what its account may, and nothing else, and that secrets are told to nobody.
func TestClusterSyncIsolation(t *testing.T) {
	w := newWorld(t, "headgate-sync-isolated")
	w.freshNamespace("headgate-sync-foreign")
	repo := w.repository()
	w.start(Options{})

	w.must(w.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "powerless"}}))
	w.must(w.Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "values"},
		StringData: map[string]string{"PASSWORD": "canary-value-1"}}))
	repo.commit("Begin",
		"secret/s.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {own: canary-own-2, password: '${PASSWORD}'}\n",
		"leak/c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: leak}\ndata: {a: '${PASSWORD}'}\n",
		"broken/s.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: broken}\ntype: kubernetes.io/tls\nstringData: {tls.crt: '${PASSWORD}', nonsense: canary-own-3}\n",
		"grant/g.yaml", "apiVersion: gateway.networking.k8s.io/v1\nkind: ReferenceGrant\nmetadata: {name: g, namespace: headgate-sync-foreign}\n"+
			"spec: {from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: "+w.namespace+"}], to: [{group: '', kind: Service}]}\n",
		"plain/a.yaml", configMap("a", "one"))

	none := repo.sync("none", func(spec *schema.SyncSpec) { spec.ServiceAccountName, spec.Path = "", "plain" })
	w.contains("no account", w.message(none, "NoServiceAccount"), "spec.serviceAccountName")
	powerless := repo.sync("powerless", func(spec *schema.SyncSpec) { spec.ServiceAccountName, spec.Path = "powerless", "plain" })
	w.contains("an account without rights", w.message(powerless, "ApplyFailed"), "service account "+w.namespace+"/powerless may not", "configmaps", "in namespace "+w.namespace)
	curious := repo.sync("curious", func(spec *schema.SyncSpec) {
		spec.ServiceAccountName, spec.Path = "powerless", "secret"
		spec.Substitute = &schema.SyncSubstitute{From: []schema.SyncSubstituteFrom{{Kind: "Secret", Name: "values"}}}
	})
	w.contains("a Secret that the account may not read", w.message(curious, "InputMissing"), "secrets \"values\" is forbidden", "powerless")
	grant := repo.sync("grant", func(spec *schema.SyncSpec) { spec.Path = "grant" })
	w.contains("a ReferenceGrant elsewhere", w.message(grant, "ApplyFailed"), "grant/g.yaml:1:1", "may not", "referencegrants.gateway.networking.k8s.io in namespace headgate-sync-foreign")
	confined := repo.sync("confined", func(spec *schema.SyncSpec) { spec.Path, spec.TargetNamespace = "grant", w.namespace })
	w.contains("outside of targetNamespace", w.message(confined, "RenderFailed"), "grant/g.yaml:3:", "targetNamespace")

	secret := repo.sync("secret", func(spec *schema.SyncSpec) {
		spec.Path, spec.Substitute = "secret", &schema.SyncSubstitute{From: []schema.SyncSubstituteFrom{{Kind: "Secret", Name: "values"}}}
	})
	w.ready(secret, "")
	var s corev1.Secret
	w.must(w.Get(t.Context(), client.ObjectKey{Namespace: w.namespace, Name: "s"}, &s))
	if string(s.Data["password"]) != "canary-value-1" || string(s.Data["own"]) != "canary-own-2" {
		t.Errorf("the Secret has %d values, and not these", len(s.Data))
	}
	leak := repo.sync("leak", func(spec *schema.SyncSpec) {
		spec.Path, spec.Substitute = "leak", &schema.SyncSubstitute{From: []schema.SyncSubstituteFrom{{Kind: "Secret", Name: "values"}}}
	})
	w.contains("a secret value in a ConfigMap", w.message(leak, "RenderFailed"), "leak/c.yaml:4:", "${PASSWORD}")
	broken := repo.sync("broken", func(spec *schema.SyncSpec) {
		spec.Path, spec.Substitute = "broken", &schema.SyncSubstitute{From: []schema.SyncSubstituteFrom{{Kind: "Secret", Name: "values"}}}
	})
	w.contains("a Secret that the API server refuses", w.message(broken, "ApplyFailed"), "broken/s.yaml:")

	// An object has one owner.
	owner := repo.sync("owner", func(spec *schema.SyncSpec) { spec.Path = "plain" })
	w.ready(owner, "")
	second := repo.sync("second", func(spec *schema.SyncSpec) { spec.Path = "plain" })
	w.contains("an object of another Sync", w.message(second, "OwnedByAnother"), "plain/a.yaml:1:1", "belongs to Sync "+w.namespace+"/owner")
	w.must(w.Delete(t.Context(), owner))
	w.gone(owner)
	w.ready(second, "")
	w.secrets("canary-")
}

// secrets fails when something that must not be told was told: in the log, an event, a status, a metric.
func (w *world) secrets(canary string) {
	w.Helper()
	told := map[string]string{"the log": w.log.String()}
	var events corev1.EventList
	w.must(w.List(w.Context(), &events, client.InNamespace(w.namespace)))
	told["events"] = fmt.Sprintf("%+v", events.Items)
	if len(events.Items) == 0 {
		w.Error("there are no events to search")
	}
	var syncs schema.SyncList
	w.must(w.List(w.Context(), &syncs, client.InNamespace(w.namespace)))
	told["statuses"] = fmt.Sprintf("%+v", syncs.Items)
	var maps corev1.ConfigMapList
	w.must(w.List(w.Context(), &maps, client.InNamespace(w.namespace)))
	told["ConfigMaps"] = fmt.Sprintf("%+v", maps.Items)
	families, err := metrics.Registry.Gather()
	w.must(err)
	told["metrics"] = fmt.Sprint(families)
	for where, text := range told {
		if i := strings.Index(text, canary); i >= 0 {
			w.Errorf("a secret is in %s: %.300s", where, text[max(0, i-200):])
		}
	}
}

// TestClusterSyncFairness holds that many Syncs of one repository look at it once, and that one that hangs keeps no other waiting.
func TestClusterSyncFairness(t *testing.T) {
	w := newWorld(t, "headgate-sync-fair")
	stuck, repo := w.repository(), w.repository()
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	var hang http.HandlerFunc = func(_ http.ResponseWriter, q *http.Request) {
		select {
		case <-release:
		case <-q.Context().Done():
		}
	}
	stuck.commit("Begin", "a.yaml", configMap("stuck", "one"))
	stuck.answer.Store(&hang)
	w.start(Options{Workers: 2})
	for i := range 10 {
		stuck.sync(fmt.Sprintf("stuck-%d", i), func(spec *schema.SyncSpec) { spec.Path = "." })
	}
	var files []string
	for i := range 20 {
		files = append(files, fmt.Sprintf("d%d/a.yaml", i), configMap(fmt.Sprintf("m%d", i), "one"))
	}
	commit := repo.commit("Begin", files...)
	var syncs []*schema.Sync
	for i := range 20 {
		syncs = append(syncs, repo.sync(fmt.Sprintf("s%d", i), func(spec *schema.SyncSpec) {
			spec.Path, spec.Interval = fmt.Sprintf("d%d", i), "1h"
		}))
	}
	for _, s := range syncs {
		w.ready(s, commit)
	}
	// One look has two requests where there is something to fetch. Not every Sync is there at the same moment.
	if n := repo.requests.Load(); n > 30 {
		t.Errorf("20 Syncs of one repository took %d requests", n)
	}
	t.Logf("20 Syncs of one repository took %d requests", repo.requests.Load())
}

// TestClusterSyncRestart ends the agent at any moment of a commit: the next one comes to the same end.
func TestClusterSyncRestart(t *testing.T) {
	w := newWorld(t, "headgate-sync-restart")
	repo := w.repository()
	for round := range 4 {
		var files []string
		for i := range 30 {
			if i%7 == round { // removed in this round
				files = append(files, fmt.Sprintf("m%d.yaml", i), "")
				continue
			}
			files = append(files, fmt.Sprintf("m%d.yaml", i), configMap(fmt.Sprintf("m%d", i), fmt.Sprint(round)))
		}
		commit := repo.commit(fmt.Sprintf("Round %d", round), files...)
		w.start(Options{})
		if round == 0 {
			repo.sync("m", nil)
		}
		s := &schema.Sync{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "m"}}
		w.until("the first objects of the round", func(context.Context) error {
			if got, err := w.configMap(fmt.Sprintf("m%d", (round+1)%7)); err != nil || got != fmt.Sprint(round) {
				return fmt.Errorf("%q: %w", got, err)
			}
			return nil
		})
		w.stop()
		w.start(Options{})
		now := w.ready(s, commit)
		var list corev1.ConfigMapList
		w.must(w.List(t.Context(), &list, client.InNamespace(w.namespace), client.MatchingLabels{"headgate.dev/sync": "m"}))
		for _, c := range list.Items {
			if c.Data["a"] != fmt.Sprint(round) {
				t.Errorf("round %d: %s is of round %s", round, c.Name, c.Data["a"])
			}
		}
		if len(list.Items) != len(files)/2-emptyOf(files) || int(now.Status.Inventory.Objects) != len(list.Items) {
			t.Errorf("round %d: %d objects, %+v", round, len(list.Items), now.Status.Inventory)
		}
		w.stop()
	}
}

func emptyOf(files []string) int {
	n := 0
	for i := 1; i < len(files); i += 2 {
		if files[i] == "" {
			n++
		}
	}
	return n
}
