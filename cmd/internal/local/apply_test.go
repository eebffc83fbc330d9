package local

import (
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"k8s.io/apimachinery/pkg/types"

	"headgate.dev/agent"
	"headgate.dev/cmd/internal/tempdir"
	"headgate.dev/proxy/model"
	"headgate.dev/render"
	"headgate.dev/render/object"
)

// holder applies trees to a Stack that no Envoy is connected to.
type holder struct {
	*testing.T
	stack *Stack
}

func newHolder(t *testing.T, o Options) *holder {
	t.Helper()
	o.Listen = netip.MustParseAddr("127.0.0.1")
	stack, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stack.Close(); err != nil {
			t.Error(err)
		}
	})
	return &holder{T: t, stack: stack}
}

func (h *holder) apply(files ...string) error {
	h.Helper()
	tree := fstest.MapFS{}
	for i, f := range files {
		tree[string(rune('a'+i))+".yaml"] = file(f)
	}
	result, err := render.Tree(tree, ".", render.Options{Gateway: DefaultGateway, Namespace: DefaultNamespace})
	if err != nil {
		h.Fatal(err)
	}
	c := agent.Change{Set: result.Set}
	c.Put, c.Removed = object.Diff(h.stack.set, result.Set)
	return h.stack.Apply(h.Context(), c)
}

func (h *holder) must(files ...string) {
	h.Helper()
	if err := h.apply(files...); err != nil {
		h.Fatal(err)
	}
}

// answers gives the rows of traffic, "host → backend".
func (h *holder) answers() string {
	rows, _ := h.stack.Rows(100)
	var out []string
	for _, r := range rows {
		out = append(out, r.Row.Host+" → "+r.Row.Answer)
	}
	return strings.Join(out, ", ")
}

func at(gateway string, port int32) model.ListenerID {
	return model.ListenerID{Gateway: model.Name{Namespace: DefaultNamespace, Name: gateway}, Port: port}
}

const (
	hello   = "apiVersion: headgate.dev/v1alpha1\nkind: ServiceSpec\nmetadata: {name: hello}\nspec: {hosts: [hello.test], port: 80}\n"
	public  = "apiVersion: headgate.dev/v1alpha1\nkind: GatewaySpec\nmetadata: {name: public}\nspec: {default: true}\n"
	gateway = "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: mine}\nspec:\n  gatewayClassName: mine\n  listeners: [{name: http, protocol: HTTP, port: 21490}]\n"
	class   = "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {name: mine}\nspec: {controllerName: headgate.dev/gateway-controller}\n"
)

// TestApplyMovesThePort: the first Gateway of one's own takes the place of the default one, and gives it back.
func TestApplyMovesThePort(t *testing.T) {
	h := newHolder(t, Options{Ports: map[int32]uint16{80: 21491}})
	for _, c := range []struct {
		files []string
		id    model.ListenerID
	}{
		{[]string{hello}, at("local", 80)}, {[]string{hello, public}, at("public", 80)}, {[]string{hello}, at("local", 80)},
	} {
		h.must(c.files...)
		if got := h.stack.ports.assigned; len(got) != 1 || got[c.id] != 21491 {
			t.Errorf("%v: got %v", c.id, got)
		}
	}
}

// TestApplyClassThatComesLater: a Gateway is bound when its class becomes ours.
func TestApplyClassThatComesLater(t *testing.T) {
	h := newHolder(t, Options{})
	h.must(gateway)
	if len(h.stack.ports.assigned) != 0 {
		t.Errorf("a Gateway of nobody's class has a port: %v", h.stack.ports.assigned)
	}
	h.must(gateway, class)
	if got := h.stack.ports.bind(at("mine", 21490)).Port(); got != 21490 {
		t.Errorf("bound at %d", got)
	}
}

// TestApplyAllOrNothing: whatever an Apply fails with, the next one finds everything as it was.
func TestApplyAllOrNothing(t *testing.T) {
	h := newHolder(t, Options{Ports: map[int32]uint16{80: 21492}})
	endpoint, fails := h.stack.backends.endpoint, true
	h.stack.backends.endpoint = func(p servicePort) (netip.AddrPort, error) {
		if fails {
			return netip.AddrPort{}, errors.New("no socket left")
		}
		return endpoint(p)
	}
	if err := h.apply(hello); err == nil || h.answers() != "" || len(h.stack.ports.assigned) != 0 {
		t.Fatalf("%v, serving %q at %v", err, h.answers(), h.stack.ports.assigned)
	}
	fails = false
	h.must(hello)
	if got := h.answers(); got != "hello.test → hello:80" {
		t.Errorf("serving %q", got)
	}
}

// TestApplyRealEndpoints: --endpoint goes before EndpointSlices of the tree, and says when nothing leads to it.
func TestApplyRealEndpoints(t *testing.T) {
	addr := netip.MustParseAddrPort("127.0.0.1:21777")
	h := newHolder(t, Options{Ports: map[int32]uint16{80: 21493}, Endpoints: []Endpoint{
		{Service: types.NamespacedName{Namespace: DefaultNamespace, Name: "hello"}, Address: addr},
		{Service: types.NamespacedName{Namespace: DefaultNamespace, Name: "helo"}, Port: 80, Address: addr},
	}})
	const empty = "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: hello-1, labels: {kubernetes.io/service-name: hello}}\naddressType: IPv4\nendpoints: []\n"
	h.must(hello, empty)
	slices := h.stack.engine.Snapshot().SlicesOfService(types.NamespacedName{Namespace: DefaultNamespace, Name: "hello"})
	if len(slices) != 1 {
		t.Fatalf("slices: %v", slices)
	}
	if got := h.stack.engine.Snapshot().EndpointSlice(slices[0]); got.Endpoints[0].Addresses[0] != "127.0.0.1" || *got.Ports[0].Port != 21777 {
		t.Errorf("got %+v", got)
	}
	if errs := h.stack.UnusedEndpoints(); len(errs) != 1 || !strings.Contains(errs[0].Message, "default/helo:80=127.0.0.1:21777") {
		t.Errorf("unused: %v", errs)
	}
}

// TestMakeDir removes what a dead process has left, and nothing else.
func TestMakeDir(t *testing.T) {
	temp := t.TempDir()
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	dead := filepath.Join(temp, "headgate-"+strconv.Itoa(gone.Process.Pid)+"-1")
	kept := []string{filepath.Join(temp, "headgate-"+strconv.Itoa(os.Getpid())+"-1"), filepath.Join(temp, "headgate-"+"notes-1"), filepath.Join(temp, "other-1-1")}
	for _, dir := range append(kept, dead) {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	made, err := tempdir.Make(temp)
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range append(kept, made) {
		if _, err := os.Stat(dir); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(dead); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what a dead process left is still there: %v", err)
	}

	long := filepath.Join(temp, strings.Repeat("x", 100))
	if err := os.Mkdir(long, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := tempdir.Make(long); err == nil || !strings.Contains(err.Error(), "TMPDIR") {
		t.Errorf("a path that is too long: %v", err)
	}
	if left, err := os.ReadDir(long); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}
