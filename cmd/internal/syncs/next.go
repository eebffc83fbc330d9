package syncs

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"headgate.dev/agent"
	"headgate.dev/schema"
)

// next says what to do, where something is to be done: a line each.
func (t Teller) next(s *schema.Sync) []string {
	var out []string
	if s.DeletionTimestamp != nil {
		return []string{deleting(s)}
	}
	if s.Spec.Suspend {
		out = append(out, t.Program+" resume "+Ref(s)+"   follows the repository again")
	}
	if s.Spec.Pin != "" {
		out = append(out, t.Program+" rollback "+Ref(s)+" --undo   follows "+following(s)+" again")
	}
	ready := condition(s, schema.SyncReady)
	switch {
	case s.Spec.Suspend:
		return out
	case ready == nil:
		return append(out, "see whether the controller runs: kubectl get pods -A -l app.kubernetes.io/name=headgate")
	case ready.Status == metav1.ConditionFalse:
		return append(out, t.remedy(s, ready.Reason)...)
	}
	if live := condition(s, schema.SyncLive); live != nil && live.Status == metav1.ConditionFalse && s.Status.Revision != "" {
		out = append(out, t.serving(s, live.Reason)...)
	}
	return out
}

func deleting(s *schema.Sync) string {
	what := "what it owns is removed first"
	if s.Spec.DeletionPolicy == schema.DeletionOrphan {
		what = "what it owns stays"
	}
	return fmt.Sprintf("%s; it goes when the controller is done: kubectl get events -n %s --field-selector involvedObject.name=%s", what, s.Namespace, s.Name)
}

// remedy says what makes a Sync ready that has a problem for a reason.
func (t Teller) remedy(s *schema.Sync, reason string) []string {
	again := t.Program + " sync " + Ref(s) + " --now --wait"
	switch reason {
	case agent.ReasonNoAccount:
		return []string{"name the service account of namespace " + s.Namespace + " whose rights it may use: kubectl patch sync " + Ref(s) +
			` --type merge -p '{"spec":{"serviceAccountName":"NAME"}}'`}
	case agent.ReasonInput:
		return []string{"make what is missing, or take it out of the Sync; it is looked at again at once"}
	case agent.ReasonFetch:
		return []string{"see to url, ref and secretRef of the Sync (kubectl edit sync " + Ref(s) + "), then: " + again}
	case agent.ReasonVerify:
		return []string{"sign the commit with a key of the Secret that spec.verify names, or add the key there"}
	case agent.ReasonBackwards:
		return []string{t.Program + " rollback " + Ref(s) + " " + Hash(s.Status.AttemptedRevision) + "   goes there all the same"}
	case agent.ReasonRender, agent.ReasonPolicy:
		return []string{"mend the files and push (" + t.Program + " validate says the same before a commit)"}
	case agent.ReasonOwned:
		return []string{"take the objects out of one of the two repositories"}
	case agent.ReasonDependency:
		return t.dependencies(s)
	case agent.ReasonApply:
		return []string{"mend what the message names, in Git or in the cluster, then: " + again}
	case agent.ReasonUnhealthy:
		return append([]string{"look at the objects that the message names (kubectl describe)"}, t.back(s)...)
	}
	return nil
}

// dependencies says where to look for what a Sync waits for.
func (t Teller) dependencies(s *schema.Sync) []string {
	var out []string
	for _, d := range s.Spec.DependsOn {
		namespace := d.Namespace
		if namespace == "" {
			namespace = s.Namespace
		}
		out = append(out, t.Program+" status "+d.Name+" -n "+namespace)
	}
	return out
}

// serving says what to do about a commit that is applied and not live.
func (t Teller) serving(s *schema.Sync, reason string) []string {
	if reason == agent.ReasonRefused {
		return append([]string{"mend what the message names, and push"}, t.back(s)...)
	}
	var out []string
	if l := s.Status.Live; l != nil {
		for _, g := range l.Gateways {
			if g.Acked < g.Total || g.Total == 0 {
				out = append(out, "kubectl get pods -n "+g.Namespace+" -l gateway.networking.k8s.io/gateway-name="+g.Name)
			}
		}
	}
	return out
}

// back offers the commit before, where there is one.
func (t Teller) back(s *schema.Sync) []string {
	if before, ok := Before(s); ok {
		return []string{t.Program + " rollback " + Ref(s) + "   goes back to " + Short(before.Revision) + " " + who(&before)}
	}
	return nil
}

// Before is the commit to go back to: the last one in the history that was live before the one that is applied, or pinned, and is another one.
func Before(s *schema.Sync) (schema.SyncHistory, bool) {
	now := s.Spec.Pin
	if now == "" {
		now = Hash(s.Status.Revision)
	}
	passed := false
	for _, h := range s.Status.History {
		hash := Hash(h.Revision)
		if hash == now {
			passed = true
			continue
		}
		if passed && hash != "" && h.LiveTime != nil {
			return h, true
		}
	}
	return schema.SyncHistory{}, false
}

// Commit finds the commit that a text means: 40 digits, or the first ones of a commit in the history.
func Commit(s *schema.Sync, text string) (hash string, err error) {
	const full, least = 40, 4
	text = strings.ToLower(text[strings.LastIndexAny(text, "@:")+1:])
	if strings.Trim(text, "0123456789abcdef") != "" || len(text) < least || len(text) > full {
		return "", fmt.Errorf("%q is not a commit: expected %d to %d hexadecimal digits", text, least, full)
	}
	if len(text) == full {
		return text, nil
	}
	for _, h := range s.Status.History {
		found := Hash(h.Revision)
		switch {
		case !strings.HasPrefix(found, text) || found == hash:
		case hash != "":
			return "", fmt.Errorf("%s may be %s or %s: give more digits", text, abbreviated(hash)+"...", found)
		default:
			hash = found
		}
	}
	if hash == "" {
		return "", fmt.Errorf("%s is not among the last %d commits of Sync %s/%s: give all %d digits", text, len(s.Status.History), s.Namespace, s.Name, full)
	}
	return hash, nil
}
