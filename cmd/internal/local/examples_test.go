package local

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"headgate.dev/agent"
	"headgate.dev/render"
	"headgate.dev/render/object"
)

const examplesDir = "../../../examples"

// mistakes is the example that is no tree to serve: cmd/headgate tries it.
const mistakes = "90-mistakes"

// TestExamples serves every example with a real Envoy and sends it requests. testdata/examples has a file for each, or for
// each directory "dir:" of it, with what it becomes: the objects, the rows of traffic, the resources Envoy gets, and the requests
// with their answers (type transcript says how these are written). Run with -update to write them again; requests stay,
// their answers are written.
func TestExamples(t *testing.T) {
	goldens := map[string][]string{}
	files, err := filepath.Glob("testdata/examples/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		example, _, _ := strings.Cut(strings.TrimSuffix(filepath.Base(file), ".txtar"), ".")
		goldens[example] = append(goldens[example], file)
	}
	for _, example := range exampleNames(t) {
		if len(goldens[example]) == 0 {
			t.Errorf("examples/%s is served by no file in testdata/examples", example)
		}
		for _, file := range goldens[example] {
			t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
				t.Parallel()
				testExample(t, filepath.Join(examplesDir, example), file)
			})
		}
		delete(goldens, example)
	}
	for example := range goldens {
		t.Errorf("there is no example %s", example)
	}
}

// exampleNames lists the examples that are served.
func exampleNames(t *testing.T) (names []string) {
	t.Helper()
	readmes, err := filepath.Glob(examplesDir + "/*/README.md")
	if err != nil || len(readmes) < 15 {
		t.Fatalf("%d examples: %v", len(readmes), err)
	}
	for _, readme := range readmes {
		if name := filepath.Base(filepath.Dir(readme)); name != mistakes {
			names = append(names, name)
		}
	}
	return names
}

func testExample(t *testing.T, example, golden string) {
	archive, err := txtar.ParseFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for _, f := range archive.Files {
		want[f.Name] = string(f.Data)
	}
	dir := "."
	for line := range strings.Lines(string(archive.Comment)) {
		if d, ok := strings.CutPrefix(line, "dir: "); ok {
			dir = strings.TrimSpace(d)
		}
	}
	if !strings.Contains(want[requestsFile], "$ ") {
		t.Fatalf("%s has no requests", golden)
	}
	files, clients := newClients(t, os.DirFS(example))
	came := follow(t, os.DirFS(example), dir)
	requests := parseTranscript(want[requestsFile])
	serve(t, files, dir, clients).run(t, requests)
	// The requests come first: they are what people look at.
	came = append([]txtar.File{{Name: requestsFile, Data: []byte(requests.String())}}, came...)
	compare(t, golden, want, &txtar.Archive{Comment: archive.Comment}, came)
}

// requestsFile is the section of a golden file that is written by hand.
const requestsFile = "requests"

// serve runs a Stack with its Envoy on a directory of a tree until the test ends.
func serve(t *testing.T, tree fs.FS, dir string, clients *clients, endpoints ...Endpoint) *terminal {
	t.Helper()
	rendered, err := render.Tree(tree, dir, render.Options{Gateway: DefaultGateway, Namespace: DefaultNamespace})
	if err != nil {
		t.Fatal(err)
	}
	change := agent.Change{Set: rendered.Set}
	change.Put, _ = object.Diff(nil, rendered.Set)
	term := &terminal{clients: clients, ports: freePorts(t, change)}
	var log bytes.Buffer
	ready := make(chan struct{}, 1)
	stack, err := New(Options{
		Listen: netip.MustParseAddr("127.0.0.1"), Ports: term.ports, Envoy: envoyForTests(t), Endpoints: endpoints, CA: filepath.Join(t.TempDir(), "ca"), Log: &log,
		Ready: func(time.Duration) { ready <- struct{}{} }, Restarted: func(err error) { t.Errorf("Envoy had to be started again: %v", err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- stack.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-ended, stack.Close()); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log(log.String())
		}
	})
	select {
	case <-ready:
	case err := <-ended:
		ended <- nil
		t.Fatal(err)
	}
	if err := stack.Apply(ctx, change); err != nil {
		t.Fatal(err)
	}
	wait, stop := context.WithTimeout(ctx, 30*time.Second)
	defer stop()
	live, err := stack.Wait(wait)
	if err != nil || live.Envoys.Acked != 1 || len(live.Refused) > 0 {
		t.Fatalf("not live on one Envoy: %v %+v", err, live)
	}
	if stack.world.ca != nil {
		clients.roots.AppendCertsFromPEM(stack.world.ca.Bundle())
	}
	return term
}

// nextPort is what freePorts tries next: examples that are served at the same time never try the same. It leaves room, as a second
// Gateway on a port takes the next free one.
var nextPort = func() *atomic.Uint32 {
	var n atomic.Uint32
	n.Store(rand.Uint32N(8000))
	return &n
}()

// freePorts finds a local port for each port of the Gateways among the changes: below those that the system hands out by itself, so
// that no client takes one before Envoy does.
func freePorts(t *testing.T, change agent.Change) map[int32]uint16 {
	t.Helper()
	stack, err := New(Options{Listen: netip.MustParseAddr("127.0.0.1"), Detached: true})
	if err != nil {
		t.Fatal(err)
	}
	defer stack.Close()
	if err := stack.Apply(t.Context(), change); err != nil {
		t.Fatal(err)
	}
	ports := map[int32]uint16{}
	for _, id := range append(stack.world.sockets(), at("aliases", 80)) {
		for ports[id.Port] == 0 {
			port := uint16(24000 + nextPort.Add(16)%8000)
			l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(port)})
			if err != nil {
				continue
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			ports[id.Port] = port
		}
	}
	return ports
}
