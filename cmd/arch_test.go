// Package cmd_test holds the architecture: which packages there are, what each may import, and how large it may become.
// ARCHITECTURE.md explains the same map; this file is what counts. Whoever needs an import that is not in the table changes the table
// and its reason in the same commit, and is asked about it in review.
package cmd_test

import (
	"testing"
)

const module = "headgate.dev"

// kind says what a package may do apart from computing.
type kind int

const (
	// pure: no context, clock, randomness, logger, goroutine, lock, network, file system. Same input, same bytes.
	pure kind = iota
	// lock: pure, but for a lock around a library that shares state in a process.
	lock
	// edge: talks to the world outside: network, file system, processes, clock.
	edge
	// driver: one loop that joins pure packages and edges.
	driver
	// wiring: puts the program together.
	wiring
)

// row is one package. Imports are our own packages that it may import; "x/..." stands for x and everything below it.
// A package under row/internal/ belongs to the row and follows it.
type row struct {
	path    string
	kind    kind
	imports []string
	why     string
}

// table has a row for each package; a row may come before its package.
var table = []row{
	{"schema", pure, []string{"schema/source"},
		"what users write is the root of everything, so it can depend on nothing of ours but the reader of its files"},
	{"schema/source", pure, nil,
		"reads YAML and says where everything stands; it does not know what is written there"},

	{"render", pure, []string{"schema/...", "render/..."},
		"a tree of files becomes objects, the same in a cluster, in `up` and in an editor: nothing but the files may matter"},
	{"render/object", pure, []string{"schema", "schema/source"},
		"objects and their origins are what the halves of the program hand to each other; of schema it needs positions and errors"},
	{"render/expand", pure, []string{"schema", "schema/source", "render/object"},
		"one spec in, its objects out: everything else that could matter comes in as an argument"},
	{"render/kustomize", lock, []string{"schema", "schema/source", "render/object"},
		"the one wrapper around a library that fetches URLs, runs git and keeps global state if it is let"},
	{"render/admit", lock, []string{"schema", "schema/source", "render/object"},
		"says what an API server would say, without one; the lock guards the kinds made ready, once for all callers, because compiling takes long"},

	{"agent/git", edge, nil,
		"commits and files, whatever is in them: it knows neither specs nor objects"},
	{"agent/plan", pure, []string{"render/object"},
		"what would be written and removed is a value that is shown, tested and refused before anything is done"},
	{"agent/apply", edge, []string{"agent/fields", "agent/plan", "render/object"},
		"carries a plan out and decides nothing; of fields it needs who is in a conflict"},
	{"agent/fields", pure, []string{"render/object"},
		"reads field ownership out of an object; needs no cluster for it"},
	{"agent/drift", pure, []string{"agent/fields", "agent/plan", "agent/preview", "render/object", "schema"},
		"events and policy in, records and actions out; which fields are left to others, and whose an object is, are plan's words and preview's"},
	{"agent/attach", edge, []string{"agent/drift", "render/object"},
		"reads what Gateways took; whether that is anybody's is drift's word"},
	{"agent/preview", pure, []string{"render/object", "schema"},
		"the same for pull requests in a cluster and for branches in `up`"},
	{"agent/preview/life", pure, []string{"agent/preview"},
		"which previews there are to be is decided from what a host said, without asking it; of preview it takes how branches are called"},
	{"agent/forge", edge, nil,
		"speaks with Git hosts about commits and texts; what they mean is decided elsewhere"},
	{"agent/pace", pure, nil,
		"when to look again, whatever at"},
	{"agent/notify", edge, nil,
		"speaks with people about texts; what they mean is decided elsewhere"},
	{"agent", driver, []string{"agent/...", "render", "render/object", "schema"},
		"one sync from commit to objects; whatever serves them is behind interfaces that it declares itself"},
	{"agent/controller", edge, []string{"agent", "agent/...", "render", "render/object", "schema"},
		"the controller-runtime edge: it joins the edges of one cluster; everything worth testing without it is in agent"},
	{"agent/controller/pulls", edge, []string{"agent", "agent/forge", "agent/pace", "agent/plan", "agent/preview/life", "schema"},
		"the pull requests of each Sync's host: it asks, has life decide, and writes Previews; of the rest it knows what functions tell it"},
	{"agent/controller/previews", edge, []string{"agent", "agent/pace", "agent/plan", "schema"},
		"the Previews of a cluster, beside the Syncs: it knows of those what it is told through functions"},

	{"proxy/kube", pure, []string{"schema", "proxy/incr"},
		"a snapshot and its indexes: the same for an informer and for a rendered tree"},
	{"proxy/kube/kubetest", edge, []string{"proxy/kube"},
		"random worlds from a seed, for the tests of whatever takes changes"},
	{"proxy/model", pure, nil,
		"resolved routing with neither Kubernetes nor Envoy in it, so that either side can change alone"},
	{"proxy/resolve", pure, []string{"proxy/kube", "proxy/model", "proxy/resolve/..."},
		"the rules of routes and nothing of Envoy: configuration and status come out of the same function"},
	{"proxy/resolve/gateway", pure, []string{"schema", "proxy/kube", "proxy/model", "proxy/resolve/condition", "proxy/resolve/hostname", "proxy/resolve/reference"},
		"a Gateway means the same whatever routes there are, so it cannot know any"},
	{"proxy/resolve/backend", pure, []string{"proxy/kube", "proxy/model", "proxy/resolve/condition", "proxy/resolve/hostname", "proxy/resolve/reference"},
		"a Service is spoken to in the same way whoever routes to it: neither routes nor Gateways are known here"},
	{"proxy/resolve/reference", pure, []string{"proxy/kube", "proxy/model"},
		"whether a reference is permitted and good is decided once for all kinds, in front of every Secret"},
	{"proxy/resolve/condition", pure, nil,
		"how a status is written is the same for all kinds; what it says is theirs"},
	{"proxy/resolve/hostname", pure, nil,
		"text in, answer out"},
	{"proxy/traffic", pure, []string{"proxy/model"},
		"explains what the model says, not what Envoy was told"},
	{"proxy/envoy", pure, []string{"proxy/model"},
		"what Envoy is told and nothing of Gateway API"},
	{"proxy/fleet", pure, []string{"proxy/model", "schema"},
		"a gateway in, its workload objects out"},
	{"proxy/incr", pure, nil,
		"keys and digests; it does not know what is computed"},
	{"proxy/engine", pure, []string{"proxy/kube", "proxy/model", "proxy/resolve/...", "proxy/envoy", "proxy/fleet", "proxy/incr"},
		"changes in, effects out: that Step equals Full can only be tested where nothing else has an influence"},
	{"proxy/live", pure, nil,
		"counts acknowledgements of epochs, whoever sends them"},
	{"proxy/track", pure, []string{"proxy/engine", "proxy/kube", "proxy/live", "proxy/resolve"},
		"which objects are under way where: what a step said of them, and how far the proxies are"},
	{"proxy/xds", edge, []string{"proxy/envoy", "proxy/live"},
		"the protocol: it orders and sends resources and never looks into them"},
	{"proxy/pki", edge, nil,
		"keys and certificates for names it is given"},
	{"proxy/process", edge, []string{"proxy/envoy"},
		"runs an Envoy with a bootstrap and decides nothing about routing"},
	{"proxy/echo", edge, nil,
		"a backend like any other: it must not know what the proxy knows"},
	{"proxy/controller", driver, []string{"proxy/...", "schema"},
		"the loop of the cluster: informers to Step to xds, status and fleet"},
	{"proxy/controller/inbox", edge, []string{"proxy/kube", "proxy/live"},
		"changes that have come, whatever is made of them"},
	{"proxy/controller/queue", edge, nil,
		"work by name for whoever leads, whatever the work is"},

	{"cmd", wiring, []string{"..."},
		"the only place that knows both agent and proxy"},
	{"deploy", wiring, []string{"..."},
		"what is installed is made from the program's own types"},
}

// sole says who alone may import a library, or a family of them. Tests are free.
type sole struct {
	prefix    string
	importers []string
	why       string
}

var libraries = []sole{
	{"github.com/go-git", []string{"agent/git/..."},
		"its traps (whole ref lists, loose limits, worktree extensions) are answered in one place"},
	{"github.com/fluxcd/pkg/git", []string{"agent/git"},
		"its clone holds a repository several times over; we take credentials, URLs and verification"},
	{"github.com/fluxcd/cli-utils", []string{"agent/apply"},
		"the rules of kstatus, and nothing else of it"},
	{"sigs.k8s.io/kustomize", []string{"render/kustomize"},
		"a second caller would be a second way to the network and around the lock"},
	{"google.golang.org/grpc", []string{"proxy/xds", "cmd/..."},
		"streams, limits and identities are checked in one place; cmd hands over credentials"},
	{"github.com/envoyproxy/go-control-plane", []string{"proxy/envoy", "proxy/xds"},
		"whatever is said in Envoy's words is said by proxy/envoy; xds needs the envelope"},
	{"k8s.io/client-go", []string{"agent/apply", "agent/controller/...", "proxy/controller/...", "cmd/...", "deploy/..."},
		"only an edge talks to an API server"},
	{"sigs.k8s.io/controller-runtime", []string{"agent/apply", "agent/attach", "agent/controller/...", "proxy/controller", "cmd/...", "deploy/..."},
		"only an edge talks to an API server"},
	{"k8s.io/api", []string{"schema", "render/...", "agent/...", "proxy/kube/...", "proxy/resolve/...", "proxy/fleet", "proxy/engine", "proxy/controller", "cmd/...", "deploy/..."},
		"after proxy/resolve nothing is Kubernetes any more"},
	{"sigs.k8s.io/gateway-api", []string{"schema", "render/...", "agent/...", "proxy/kube/...", "proxy/resolve/...", "proxy/fleet", "proxy/engine", "proxy/controller", "cmd/...", "deploy/..."},
		"after proxy/resolve nothing is Kubernetes any more"},
	{"go.yaml.in/yaml", []string{"schema/source", "render/..."},
		"one YAML decoder for everything, so that a file means the same everywhere and every error has a line"},
	{"sigs.k8s.io/yaml", nil,
		"it turns YAML into JSON first and loses lines; YAML is read by source.Documents"},
	{"gopkg.in/yaml", nil,
		"YAML is read by source.Documents"},
	{"github.com/fsnotify/fsnotify", []string{"agent/git/...", "cmd/..."},
		"local repositories and work trees are watched by whoever reads them"},
	{"github.com/spf13/cobra", []string{"cmd/..."},
		"flags end where the packages begin"},
	{"golang.org/x/term", []string{"cmd/..."},
		"only the command line knows that there is a terminal"},
}

// impure is what a pure package does not import: packages, or with a dot names of package time.
var impure = map[string]string{
	"context":      "a decision does not wait, so there is nothing to cancel",
	"crypto/rand":  "same input, same bytes",
	"log":          "a decision returns what there is to say",
	"log/slog":     "a decision returns what there is to say",
	"math/rand":    "same input, same bytes",
	"math/rand/v2": "same input, same bytes",
	"net":          "the network is an edge's part; net/netip has addresses",
	"net/http":     "the network is an edge's part",
	"os":           "files come in as an fs.FS or as bytes",
	"os/exec":      "processes are an edge's part",
	"os/signal":    "processes are an edge's part",
	"runtime":      "the machine must not matter",
	"sync":         "one goroutine owns a value; the driver decides which",
	"sync/atomic":  "one goroutine owns a value; the driver decides which",
	"syscall":      "the machine must not matter",
	"testing":      "test helpers live in test files",
	"unsafe":       "same input, same bytes",

	"golang.org/x/sync": "one goroutine owns a value; the driver decides which",
	"golang.org/x/sys":  "the machine must not matter",

	"time.After":     "timers are a driver's part",
	"time.AfterFunc": "timers are a driver's part",
	"time.NewTicker": "timers are a driver's part",
	"time.NewTimer":  "timers are a driver's part",
	"time.Now":       "time is an argument",
	"time.Since":     "time is an argument",
	"time.Sleep":     "timers are a driver's part",
	"time.Tick":      "timers are a driver's part",
	"time.Until":     "time is an argument",
}

// topLevel is everything at the root of the repository, apart from dotfiles.
var topLevel = map[string]string{
	"ARCHITECTURE.md": "the map", "CONTRIBUTING.md": "how to work on it", "LICENSE": "", "README.md": "how to use it",
	"Makefile": "every command", "go.mod": "", "go.sum": "",
	"agent": "the Git half", "proxy": "the Envoy half", "cmd": "both together",
	"render": "specs to objects", "schema": "what users write",
	"deploy": "how it is installed, and the build tools", "examples": "what users copy",
	"bin": "what make build writes; not in Git",
}

// maxPackageLines is the size above which a package is two packages. Lines of code are counted as lint counts them in a
// file: without comments, blank lines, tests and generated files.
const maxPackageLines = 3000

func TestArchitecture(t *testing.T) {
	packages, err := load("..")
	if err != nil {
		t.Fatal(err)
	}
	if len(packages) == 0 {
		t.Fatal("no packages found")
	}
	for _, p := range packages {
		for _, problem := range check(p) {
			t.Error(problem)
		}
	}
}

func TestTopLevel(t *testing.T) {
	problems, err := checkTopLevel("..")
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range problems {
		t.Error(problem)
	}
}

func TestTableIsSound(t *testing.T) {
	rows := map[string]bool{}
	for _, r := range table {
		if rows[r.path] {
			t.Errorf("%s has two rows", r.path)
		}
		rows[r.path] = true
		if r.why == "" {
			t.Errorf("%s: the reason is missing", r.path)
		}
	}
	for _, r := range table {
		for _, i := range r.imports {
			if !rows[i] && !matchesSome(i, rows) {
				t.Errorf("%s may import %s, which has no row", r.path, i)
			}
		}
	}
	for _, l := range libraries {
		if l.why == "" {
			t.Errorf("%s: the reason is missing", l.prefix)
		}
		for _, i := range l.importers {
			if !rows[i] && !matchesSome(i, rows) {
				t.Errorf("%s may be imported by %s, which has no row", l.prefix, i)
			}
		}
	}
}

// A rule that never bites is no rule: each is broken here once.
func TestCheckFindsWhatIsWrong(t *testing.T) {
	for name, test := range map[string]struct {
		path, source string
		isTest       bool
		want         string // part of the only problem; empty: none
	}{
		"allowed":                  {"render/object", `import "headgate.dev/schema"`, false, ""},
		"not in the table":         {"util", `var x int`, false, "has no row"},
		"import not in the table":  {"schema", `import "headgate.dev/render"`, false, "may not import render:"},
		"the other half":           {"agent", `import "headgate.dev/proxy/live"`, false, "may not import proxy/live:"},
		"the other half in a test": {"proxy/xds", `import "headgate.dev/agent/git"`, true, "not even in a test"},
		"below its own row":        {"agent/git", `import "headgate.dev/agent/git/internal/wire"`, false, ""},
		"internal follows its row": {"proxy/model/internal/x", `import "os"`, false, "is pure and imports os:"},
		"internal is private":      {"proxy/model", `import "headgate.dev/proxy/live/internal/x"`, false, "may not import proxy/live/internal/x:"},
		"wiring":                   {"cmd/internal/local", `import ("headgate.dev/agent"; "headgate.dev/proxy/xds")`, false, ""},
		"library with an owner":    {"render", `import "github.com/go-git/go-git/v5"`, false, "may not import github.com/go-git/go-git/v5:"},
		"library in its owner":     {"agent/git", `import "github.com/go-git/go-git/v5"`, false, ""},
		"library in a test":        {"render", `import "google.golang.org/grpc"`, true, ""},
		"library with a like name": {"render", `import "k8s.io/apimachinery/pkg/types"`, false, ""},
		"context in a pure one":    {"proxy/engine", `import "context"`, false, "is pure and imports context:"},
		"context in an edge":       {"proxy/xds", `import "context"`, false, ""},
		"lock in a pure one":       {"render", `import "sync"`, false, "is pure and imports sync:"},
		"lock where it is needed":  {"render/kustomize", `import "sync"`, false, ""},
		"clock in a pure one":      {"render", "import \"time\"\nvar _ = time.Now", false, "is pure and uses time.Now:"},
		"clock under another name": {"render", "import t \"time\"\nvar _ = t.Since", false, "is pure and uses time.Since:"},
		"durations":                {"render", "import \"time\"\nconst x = time.Second", false, ""},
		"goroutine in a pure one":  {"render", "func f() { go f() }", false, "is pure and starts a goroutine"},
		"goroutine in a driver":    {"agent", "func f() { go f() }", false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := pkg{path: test.path}
			if err := p.add("x.go", []byte("package x\n"+test.source+"\n"), test.isTest); err != nil {
				t.Fatal(err)
			}
			got := check(p)
			if test.want == "" && len(got) > 0 || test.want != "" && (len(got) != 1 || !contains(got[0], test.want)) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestPackageSize(t *testing.T) {
	p := pkg{path: "schema"}
	source := "// Package x.\npackage x\n\n/* two\nlines */\n" + repeat("var _ = `a\nb`\n\n// comment\n", maxPackageLines/2)
	if err := p.add("x.go", []byte(source), false); err != nil {
		t.Fatal(err)
	}
	if err := p.add("x_test.go", []byte(source), true); err != nil {
		t.Fatal(err)
	}
	if err := p.add("y.go", []byte("// Code generated by x. DO NOT EDIT.\n\n"+source), false); err != nil {
		t.Fatal(err)
	}
	if p.lines != maxPackageLines+1 {
		t.Errorf("counted %d lines, want %d", p.lines, maxPackageLines+1)
	}
	if got := check(p); len(got) != 1 || !contains(got[0], "3001 lines") {
		t.Errorf("got %q", got)
	}
}
