package apply

import (
	"cmp"
	"slices"
	"strings"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"headgate.dev/render/object"
)

// Health says whether an object does what it is for.
type Health string

// Values of Health.
const (
	// Healthy: all is as wanted.
	Healthy Health = "healthy"
	// Progressing: it is on its way, or nobody has looked at it yet.
	Progressing Health = "progressing"
	// Failed: it does not get there by itself.
	Failed Health = "failed"
)

// Verdict is a health with its reason, which is empty for Healthy.
type Verdict struct {
	Health  Health
	Message string
}

// Judge says how healthy a live object is by its status. Objects of Gateway API are judged by what their controllers say (nobody yet is
// Progressing); all others by the rules of kstatus, by which an object without a status is healthy.
//
// See https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md.
func Judge(live map[string]any) Verdict {
	u := &unstructured.Unstructured{Object: live}
	if u.GetDeletionTimestamp() != nil {
		return Verdict{Progressing, "it is being deleted"}
	}
	if u.GroupVersionKind().Group == "gateway.networking.k8s.io" {
		return judgeGatewayAPI(u)
	}
	result, err := status.Compute(u)
	if err != nil {
		return Verdict{Progressing, "its status is not readable: " + err.Error()}
	}
	switch result.Status {
	case status.CurrentStatus:
		return Verdict{Health: Healthy}
	case status.FailedStatus:
		return Verdict{Failed, result.Message}
	}
	return Verdict{Progressing, result.Message}
}

// condition is one condition of a status.
type condition struct {
	kind, status, reason, message string
	generation                    int64
}

func conditions(v any) []condition {
	list, _ := v.([]any)
	var out []condition
	for _, item := range list {
		m, _ := item.(map[string]any)
		c := condition{}
		c.kind, _ = m["type"].(string)
		c.status, _ = m["status"].(string)
		c.reason, _ = m["reason"].(string)
		c.message, _ = m["message"].(string)
		c.generation, _ = m["observedGeneration"].(int64)
		out = append(out, c)
	}
	return out
}

// wanted are the conditions that are True when a kind is as it should be. Those of routes and policies are said by each parent.
var (
	wantedOfClass   = []string{"Accepted"}
	wantedOfGateway = []string{"Accepted", "Programmed"}
	wantedOfRoute   = []string{"Accepted", "ResolvedRefs"}
	wantedOfPolicy  = []string{"Accepted"}
)

func judgeGatewayAPI(u *unstructured.Unstructured) Verdict {
	state, _ := u.Object["status"].(map[string]any)
	generation := u.GetGeneration()
	switch kind := u.GetKind(); {
	case kind == "GatewayClass":
		return judgeConditions(conditions(state["conditions"]), wantedOfClass, generation)
	case kind == "Gateway" || kind == "ListenerSet":
		return judgeConditions(conditions(state["conditions"]), wantedOfGateway, generation)
	case kind == "BackendTLSPolicy": // nobody answers for a backend that no Gateway uses
		return judgeParents(state["ancestors"], wantedOfPolicy, generation)
	case strings.HasSuffix(kind, "Route"):
		parents, _, _ := unstructured.NestedSlice(u.Object, "spec", "parentRefs")
		if said, _ := state["parents"].([]any); len(said) == 0 && len(parents) > 0 {
			return Verdict{Progressing, "no controller has answered yet"}
		}
		return judgeParents(state["parents"], wantedOfRoute, generation)
	}
	return Verdict{Health: Healthy} // ReferenceGrants have no status
}

// judgeParents is the worst that one of the parents says.
func judgeParents(v any, wanted []string, generation int64) Verdict {
	list, _ := v.([]any)
	out := Verdict{Health: Healthy}
	for _, item := range list {
		m, _ := item.(map[string]any)
		if said := judgeConditions(conditions(m["conditions"]), wanted, generation); worse(said.Health, out.Health) {
			out = said
		}
	}
	return out
}

func worse(a, b Health) bool {
	order := []Health{Healthy, Progressing, Failed}
	return slices.Index(order, a) > slices.Index(order, b)
}

// judgeConditions says what conditions mean of which some must be True for a generation.
func judgeConditions(list []condition, wanted []string, generation int64) Verdict {
	for _, kind := range wanted {
		i := slices.IndexFunc(list, func(c condition) bool { return c.kind == kind })
		switch {
		case i < 0:
			return Verdict{Progressing, "no controller has said " + kind + " yet"}
		case list[i].generation < generation:
			return Verdict{Progressing, "no controller has looked at its last change yet"}
		case list[i].status == "False" && list[i].reason == "Pending":
			return Verdict{Progressing, kind + " is pending: " + list[i].message}
		case list[i].status == "False":
			return Verdict{Failed, "not " + kind + " (" + list[i].reason + "): " + list[i].message}
		case list[i].status != "True":
			return Verdict{Progressing, kind + " is not known: " + list[i].message}
		}
	}
	return Verdict{Health: Healthy}
}

// Expectation is an object that is to become healthy.
type Expectation struct {
	ID     object.ID
	Origin object.Origin
	// Generation is the least that counts; 0: any.
	Generation int64
	// Live is the object as it was seen last; nil: it was not.
	Live map[string]any
}

// Unwell is an object that is not healthy.
type Unwell struct {
	ID     object.ID
	Origin object.Origin
	Verdict
}

// Expect says that what was written is to become healthy.
func (w Written) Expect() Expectation {
	return Expectation{ID: w.Object.ID, Origin: w.Object.Origin, Generation: w.Generation, Live: w.Live}
}

// judge is Judge for an expectation; nil is an object that is not there.
func (e Expectation) judge(live map[string]any) Verdict {
	if live == nil {
		return Verdict{Progressing, "it is not there"}
	}
	u := &unstructured.Unstructured{Object: live}
	if u.GetGeneration() < e.Generation {
		return Verdict{Progressing, "its last change is not seen yet"}
	}
	return Judge(live)
}

func sortUnwell(list []Unwell) []Unwell {
	slices.SortFunc(list, func(a, b Unwell) int {
		return cmp.Or(strings.Compare(a.Origin.File, b.Origin.File), cmp.Compare(a.Origin.Line, b.Origin.Line), object.Compare(a.ID, b.ID))
	})
	return list
}
