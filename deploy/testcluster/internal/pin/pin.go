// Package pin says what the test cluster is made of, down to the checksum of the last module.
//
// A component is a set of programs built from one Go module, its origin. A lock is the go.mod and go.sum that a component is built
// with: a module of its own, so that neither the product nor another component has a say in its versions.
package pin

import (
	"bufio"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"strings"
)

//go:embed locks
var locks embed.FS

// Versions are the pinned versions by name, without a leading v.
type Versions map[string]string

// names are those that versions.txt must hold.
var names = []string{"go", "kubernetes", "etcd", "containerd", "coredns", "gateway-api"}

// Parse reads versions.txt: a name and a version a line, # for comments.
func Parse(text string) (Versions, error) {
	v := Versions{}
	lines := bufio.NewScanner(strings.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line, _, _ := strings.Cut(lines.Text(), "#")
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		if len(fields) != 2 || v[fields[0]] != "" {
			return nil, fmt.Errorf("versions.txt line %d: want one name and one version, each name once", n)
		}
		v[fields[0]] = fields[1]
	}
	for _, name := range names {
		if v[name] == "" {
			return nil, fmt.Errorf("versions.txt: no version of %s", name)
		}
	}
	if len(v) != len(names) {
		return nil, fmt.Errorf("versions.txt: only %s are known", strings.Join(names, ", "))
	}
	return v, nil
}

// Component is a set of programs built from one module.
type Component struct {
	Name    string
	Version string
	Origin  string // module path
	// Programs are import paths of main packages by the name of the program.
	Programs map[string]string
	Tags     string
	// Stamps are variables that the linker sets, in order.
	Stamps []string
	// Source is a file of the component's own module, besides go.mod and go.sum.
	Source, SourceName string
	Mod, Sum           string
}

// toolsFile makes `go mod tidy` keep the programs of a component.
func toolsFile(programs map[string]string) string {
	var b strings.Builder
	b.WriteString("//go:build tools\n\npackage tools\n\nimport (\n")
	for _, name := range sorted(programs) {
		fmt.Fprintf(&b, "\t_ %q\n", programs[name])
	}
	b.WriteString(")\n")
	return b.String()
}

// Pause is the sandbox process of the pods, built from its source, which is part of the tool.
func Pause(v Versions, source string) Component {
	c := Component{Name: "pause", Version: "1", Programs: map[string]string{"pause": module("pause")}, Source: source, SourceName: "main.go"}
	c.Mod = modFile(c, v["go"], "")
	return c
}

// Components lists what is built from modules, in the order in which it is.
func Components(v Versions) ([]Component, error) {
	kubernetes := map[string]string{}
	for _, c := range []string{"kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubectl", "kubelet"} {
		kubernetes[c] = "k8s.io/kubernetes/cmd/" + c
	}
	containerd := map[string]string{}
	for _, c := range []string{"containerd", "containerd-shim-runc-v2", "ctr"} {
		containerd[c] = "github.com/containerd/containerd/v2/cmd/" + c
	}
	list := []Component{
		{Name: "etcd", Origin: "go.etcd.io/etcd/server/v3", Programs: map[string]string{"etcd": "go.etcd.io/etcd/server/v3"}},
		{Name: "containerd", Origin: "github.com/containerd/containerd/v2", Programs: containerd, Tags: "no_btrfs no_devmapper no_zfs",
			Stamps: []string{"github.com/containerd/containerd/v2/version.Version=v" + v["containerd"]}},
		{Name: "coredns", Origin: "github.com/coredns/coredns", Programs: map[string]string{"coredns": module("coredns")}},
		{Name: "kubernetes", Origin: "k8s.io/kubernetes", Programs: kubernetes, Stamps: kubernetesStamps(v["kubernetes"])},
	}
	for i := range list {
		c := &list[i]
		c.Version = v[c.Name]
		c.Source, c.SourceName = toolsFile(c.Programs), "tools.go"
		if c.Name == "coredns" {
			source, err := locks.ReadFile("locks/coredns.go.txt")
			if err != nil {
				return nil, err
			}
			c.Source, c.SourceName = string(source), "main.go"
		}
		mod, err := locks.ReadFile("locks/" + c.Name + ".mod")
		if err != nil {
			return nil, fmt.Errorf("no lock of %s: run `go run . pin .` in deploy/testcluster", c.Name)
		}
		sum, err := locks.ReadFile("locks/" + c.Name + ".sum")
		if err != nil {
			return nil, fmt.Errorf("no lock of %s: run `go run . pin .` in deploy/testcluster", c.Name)
		}
		c.Mod, c.Sum = string(mod), string(sum)
	}
	return list, nil
}

func module(name string) string { return "headgate.dev/deploy/testcluster/" + name }

// A Kubernetes built from its module would call itself v0.0.0, which clients that compare versions take at its word.
func kubernetesStamps(version string) []string {
	parts := strings.SplitN(version, ".", 3)
	const p = "k8s.io/component-base/version."
	return []string{p + "gitVersion=v" + version, p + "gitMajor=" + parts[0], p + "gitMinor=" + parts[1],
		p + "gitTreeState=clean", p + "gitCommit=v" + version}
}

// Flags are the flags of `go build` that decide what comes out.
func (c Component) Flags() []string {
	flags := []string{"-trimpath", "-buildvcs=false"}
	if c.Tags != "" {
		flags = append(flags, "-tags="+c.Tags)
	}
	ld := "-ldflags=-s -w"
	for _, s := range c.Stamps {
		ld += " -X " + s
	}
	return append(flags, ld)
}

// Key names the outcome of a build for a platform such as linux/amd64: the same key, the same programs.
func (c Component) Key(platform string) string {
	h := sha256.New()
	for _, s := range append([]string{platform, c.Mod, c.Sum, c.Source, c.SourceName}, c.Flags()...) {
		fmt.Fprintf(h, "%d %s\n", len(s), s)
	}
	return c.Name + "-" + c.Version + "-" + hex.EncodeToString(h.Sum(nil))[:10]
}
