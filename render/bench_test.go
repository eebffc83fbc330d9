package render_test

import (
	"fmt"
	"runtime"
	"testing"

	"headgate.dev/render"
	"headgate.dev/render/object"
)

const gatewayFile = `apiVersion: headgate.dev/v1alpha1
kind: GatewaySpec
metadata: {name: public}
spec:
  hosts: ["*.example.com"]
  default: true
`

func service(i, port int) string {
	return fmt.Sprintf(`apiVersion: headgate.dev/v1alpha1
kind: ServiceSpec
metadata:
  name: svc-%d
spec:
  hosts: [svc-%d.example.com]
  port: %d
  routes:
  - path: /api
    timeout: 5s
  - path: /
`, i, i, port)
}

// services is a tree of one directory per service; kustomize gives each a kustomization that transforms, overlay puts a
// root kustomization with namespace and labels over all.
func services(n int, kustomize, overlay bool) *gitFS {
	files := map[string]string{"gateway/gateway.yaml": gatewayFile}
	root := "namespace: prod\nlabels:\n- pairs: {env: prod}\nresources:\n- gateway/gateway.yaml\n"
	for i := range n {
		files[fmt.Sprintf("svc-%d/service.yaml", i)] = service(i, 8080)
		if kustomize {
			files[fmt.Sprintf("svc-%d/kustomization.yaml", i)] = "resources: [service.yaml]\nnamePrefix: dev-\n"
		}
		if overlay {
			files[fmt.Sprintf("svc-%d/kustomization.yaml", i)] = "resources: [service.yaml]\n"
			root += fmt.Sprintf("- svc-%d\n", i)
		}
	}
	if overlay {
		files["kustomization.yaml"] = root
	}
	return newGitFS(files)
}

var layouts = []struct {
	name               string
	kustomize, overlay bool
}{{"flat", false, false}, {"kustomizations", true, false}, {"overlay", false, true}}

func BenchmarkCold(b *testing.B) {
	for _, l := range layouts {
		b.Run(l.name+"/1000", func(b *testing.B) {
			tree := services(1000, l.kustomize, l.overlay)
			for b.Loop() {
				if _, err := render.Tree(tree, ".", render.Options{Namespace: "default"}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkChange(b *testing.B) {
	for _, l := range layouts {
		for _, n := range []int{100, 1000, 5000} {
			if l.kustomize && n == 5000 {
				continue
			}
			b.Run(fmt.Sprintf("%s/%d", l.name, n), func(b *testing.B) {
				tree := services(n, l.kustomize, l.overlay)
				r := render.New()
				last, err := r.Tree(tree, ".", render.Options{Namespace: "default"})
				if err != nil {
					b.Fatal(err)
				}
				port := 8080
				b.ReportAllocs()
				for b.Loop() {
					b.StopTimer()
					port++
					tree.change("svc-7/service.yaml", service(7, 1024+port%60000))
					list(b, tree, ".")
					list(b, tree, "svc-7")
					b.StartTimer()
					next, err := r.Tree(tree, ".", render.Options{Namespace: "default"})
					if err != nil {
						b.Fatal(err)
					}
					if changed, removed := object.Diff(last.Set, next.Set); len(changed) != 1 || len(removed) != 0 {
						b.Fatalf("changed %d, removed %d", len(changed), len(removed))
					}
					last = next
				}
			})
		}
	}
}

// list has the tree list a directory, which is no part of rendering.
func list(b testing.TB, tree *gitFS, dir string) {
	if _, err := tree.ReadDir(dir); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkMemory reports what a Renderer keeps for 5,000 small services.
func BenchmarkMemory(b *testing.B) {
	tree := services(5000, false, false)
	for b.Loop() {
		before := heap()
		r := render.New()
		result, err := r.Tree(tree, ".", render.Options{Namespace: "default"})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(heap()-before)/(1<<20), "MiB")
		runtime.KeepAlive(r)
		runtime.KeepAlive(result)
	}
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
