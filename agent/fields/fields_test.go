package fields

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	"headgate.dev/render/object"
)

// recorded gives the objects of a recording.
func recorded(t testing.TB, name string) (applied, live map[string]any) {
	t.Helper()
	archive, err := txtar.ParseFile(filepath.Join("testdata", name+".txtar"))
	if err != nil {
		t.Fatal(err)
	}
	return decodeObject(t, archive.Files[0].Data), decodeObject(t, archive.Files[1].Data)
}

func clone(m map[string]any) map[string]any { return object.CloneMap(m) }

// TestNothingChanged holds that no recording differs from itself, that order in lists with keys does not matter, and that status does not.
func TestNothingChanged(t *testing.T) {
	files, _ := filepath.Glob("testdata/*.txtar")
	for _, file := range files {
		applied, _ := recorded(t, strings.TrimSuffix(filepath.Base(file), ".txtar"))
		live := clone(applied)
		live["status"] = map[string]any{"anything": true}
		reverseKeyed(live)
		if changes, err := Compare(applied, live, us); err != nil || len(changes) > 0 {
			t.Errorf("%s: %v, %v", file, changes, err)
		}
	}
}

// reverseKeyed turns the lists around whose order means nothing: ports and env of a Deployment or Service.
func reverseKeyed(v any) {
	switch at := v.(type) {
	case map[string]any:
		for key, inner := range at {
			if list, ok := inner.([]any); ok && (key == "ports" || key == "env" || key == "finalizers" || key == "managedFields") {
				slices.Reverse(list)
			}
			reverseKeyed(inner)
		}
	case []any:
		for _, inner := range at {
			reverseKeyed(inner)
		}
	}
}

func TestOwners(t *testing.T) {
	_, live := recorded(t, "deploy-env")
	m, err := Read(live)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"spec.replicas": "kubectl (scale)", "spec.selector": "headgate",
		"spec.template.spec.containers[name=http].env[name=B].value":                    "kubectl-set",
		"spec.template.spec.containers[name=http].env[name=A].value":                    "headgate",
		"metadata.finalizers[=example.com/a]":                                           "headgate",
		`metadata.annotations["deployment.kubernetes.io/revision"]`:                     "kube-controller-manager (status)",
		"spec.template.spec.containers[name=http].resources.requests.cpu":               "headgate",
		"spec.template.spec.containers[name=http].env[name=C]":                          "kubectl-set",
		"spec.template.spec.containers[name=http].ports[containerPort=53,protocol=UDP]": "headgate",
	}
	for _, o := range m.Owners() {
		if managers, ok := want[o.Path]; ok {
			if len(o.Managers) != 1 || o.Managers[0].String() != managers {
				t.Errorf("%s is owned by %v, want %s", o.Path, o.Managers, managers)
			}
			delete(want, o.Path)
		}
	}
	if len(want) > 0 {
		t.Errorf("nobody owns %v", want)
	}
}

// TestEntriesAreTheSameInBothForms reads managedFields out of an object and out of decoded entries.
func TestEntriesAreTheSameInBothForms(t *testing.T) {
	_, live := recorded(t, "deploy-env")
	a, err := Read(live)
	if err != nil {
		t.Fatal(err)
	}
	var typed metav1.PartialObjectMetadata
	if err := json.Unmarshal(object.AppendJSON(nil, live), &typed); err != nil {
		t.Fatal(err)
	}
	b, err := FromEntries(typed.ManagedFields)
	if err != nil || len(a) != len(b) {
		t.Fatal(err)
	}
	for i := range a {
		if a[i].Manager != b[i].Manager || !a[i].set.Equals(b[i].set) {
			t.Errorf("%v is not %v", a[i].Manager, b[i].Manager)
		}
	}
}

// TestWhereInTheRenderedObject finds a change in what was rendered, where defaults are not filled in and the order is another one.
func TestWhereInTheRenderedObject(t *testing.T) {
	applied, live := recorded(t, "deploy-list")
	changes, err := Compare(applied, live, us)
	if err != nil {
		t.Fatal(err)
	}
	rendered := decodeObject(t, []byte(`{"spec":{"template":{"spec":{"containers":[{"name":"side"},{"name":"http","args":["serve","--port=8080"],
		"ports":[{"containerPort":8080},{"containerPort":53,"protocol":"UDP"}],"env":[{"name":"B","value":"b"}]}]}}}}`))
	want := map[string]string{
		"spec.replicas": "/spec false",
		"spec.template.spec.containers[name=http].args[1]":                              "/spec/template/spec/containers/1/args/1 true",
		"spec.template.spec.containers[name=http].env[name=B].value":                    "/spec/template/spec/containers/1/env/0/value true",
		"spec.template.spec.containers[name=http].ports[containerPort=53,protocol=UDP]": "/spec/template/spec/containers/1/ports/1 true",
	}
	for _, c := range changes {
		at, whole := c.In(rendered)
		if got := at + map[bool]string{true: " true", false: " false"}[whole]; got != want[c.Path] {
			t.Errorf("%s is at %s, want %s", c.Path, got, want[c.Path])
		}
	}
	if len(changes) != len(want) {
		t.Errorf("%d changes", len(changes))
	}
}

// TestEmptyMapOfOurs: others may fill a map that we applied empty, as long as it is not atomic.
func TestEmptyMapOfOurs(t *testing.T) {
	text := func(value, extra string) map[string]any {
		return decodeObject(t, []byte(`{"metadata":{"managedFields":[{"manager":"headgate","operation":"Apply","fieldsV1":{"f:spec":{"f:emptyDir":{}}}}`+
			extra+`]},"spec":{"emptyDir":`+value+`}}`))
	}
	for live, want := range map[string]int{`{"medium":"Memory"}`: 0, `{}`: 0, `null`: 1} {
		changes, err := Compare(text(`{}`, ""), text(live, ""), us)
		if err != nil || len(changes) != want {
			t.Errorf("%s: %v, %v", live, changes, err)
		}
	}
	taken := decodeObject(t, []byte(`{"metadata":{"managedFields":[{"manager":"x","operation":"Update","fieldsV1":{"f:spec":{"f:emptyDir":{}}}}]},"spec":{"emptyDir":{"medium":"Memory"}}}`))
	changes, err := Compare(text(`{}`, ""), taken, us)
	if err != nil || len(changes) != 1 || changes[0].Kind != Added || changes[0].By[0].Name != "x" {
		t.Errorf("%v, %v", changes, err)
	}
}

func TestManagersInMessages(t *testing.T) {
	for message, want := range map[string]string{
		`conflict with "kubectl" using apps/v1`:                                                  `kubectl Update apps/v1`,
		`conflict with "a \"b\"" with subresource "scale" using apps/v1 at 2026-11-25T09:28:46Z`: `a "b" (scale) Update apps/v1 09:28:46`,
		`conflict with "flagger"`:                                                                `flagger Apply`,
		`something else`:                                                                         ``,
		`conflict with flagger`:                                                                  ` Apply`,
	} {
		m := managerOf(message)
		got := m.String() + " " + m.Operation + " " + m.APIVersion
		if !m.Time.IsZero() {
			got += m.Time.Format(" 15:04:05")
		}
		if strings.TrimRight(got, " ") != want {
			t.Errorf("%s: %q, want %q", message, got, want)
		}
	}
}

func TestPathsOfTheServer(t *testing.T) {
	content := decodeObject(t, []byte(`{"metadata":{"labels":{"app.kubernetes.io/name":"x","app":"y"},"finalizers":["a/b"]},
		"spec":{"ports":[{"port":53,"protocol":"UDP"},{"port":80,"protocol":"TCP","name":"a]b"}],"args":["x"]}}`))
	for in, want := range map[string]string{
		`.metadata.labels.app.kubernetes.io/name`:  `metadata.labels["app.kubernetes.io/name"] /metadata/labels/app.kubernetes.io~1name`,
		`.metadata.labels.app`:                     `metadata.labels.app /metadata/labels/app`,
		`.metadata.finalizers[="a/b"]`:             `metadata.finalizers[=a/b] /metadata/finalizers/0`,
		`.spec.ports[port=80,protocol="TCP"].name`: `spec.ports[port=80,protocol=TCP].name /spec/ports/1/name`,
		`.spec.ports[name="a]b"].port`:             `spec.ports[name="a]b"].port /spec/ports/1/port`,
		`.spec.gone.x`:                             `spec.gone.x `,
	} {
		c := Conflicts([]metav1.StatusCause{{Type: metav1.CauseTypeFieldManagerConflict, Field: in}, {Type: "Other"}}, content)
		if got := c[0].Path + " " + c[0].Pointer; len(c) != 1 || got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}

func TestBadEntriesAreErrors(t *testing.T) {
	for _, text := range []string{
		`{"metadata":{"managedFields":[3]}}`,
		`{"metadata":{"managedFields":[{"time":"yesterday"}]}}`,
		`{"metadata":{"managedFields":[{"manager":"a","fieldsV1":[]}]}}`,
		`{"metadata":{"managedFields":[{"manager":"a","fieldsV1":{"f:a":3}}]}}`,
		`{"metadata":{"managedFields":[{"manager":"a","fieldsV1":{"k:{":{}}}]}}`,
	} {
		if m, err := Read(decodeObject(t, []byte(text))); err == nil {
			t.Errorf("%s is read as %v", text, m)
		}
	}
	for _, text := range []string{`{}`, `{"metadata":{"managedFields":[{}]}}`, `{"metadata":3}`} {
		if _, err := Read(decodeObject(t, []byte(text))); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func FuzzCompare(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.txtar")
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(archive.Files[0].Data, archive.Files[1].Data)
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		var applied, live map[string]any
		if utiljson.Unmarshal(a, &applied) != nil || utiljson.Unmarshal(b, &live) != nil {
			return
		}
		changes, err := Compare(applied, live, us)
		if err != nil {
			return
		}
		for _, c := range changes {
			if c.Path == "" || c.Pointer == "" {
				t.Errorf("a change is nowhere: %v", c)
			}
		}
		if changes, err := Compare(applied, clone(applied), us); err != nil || len(changes) > 0 {
			t.Errorf("an object differs from itself: %v, %v", changes, err)
		}
	})
}

func BenchmarkCompare(b *testing.B) {
	applied, live := recorded(b, "route-edited")
	for b.Loop() {
		if changes, err := Compare(applied, live, us); err != nil || len(changes) != 1 {
			b.Fatal(changes, err)
		}
	}
}
