package drift

import (
	"strings"
	"time"

	"headgate.dev/agent/plan"
	"headgate.dev/render/object"
	"headgate.dev/schema"
)

// Do is what a policy says about a drifted field.
type Do string

// Answers to drift.
const (
	// Correct: it is put back.
	Correct Do = "correct"
	// Alert: people are told.
	Alert Do = "alert"
	// Ignore: it is recorded, and nothing else.
	Ignore Do = "ignore"
)

// Severity is how bad a drift is.
type Severity string

// Severities.
const (
	Info     Severity = "info"
	Warning  Severity = "warning"
	Critical Severity = "critical"
)

// Policy says what is done about drift. The zero Policy alerts, as a warning.
type Policy struct {
	// Rules are tried in their order; the first one that fits decides.
	Rules []Rule
	// Do and Severity are for what no rule fits.
	Do       Do
	Severity Severity
	// Pause is the end of a maintenance window: until then nothing is corrected and no alert is opened. What is still drifted then is treated as
	// if it were new. Zero: there is none.
	Pause time.Time
}

// Rule says what is done about some drift: that to which all fits that the rule says.
type Rule struct {
	Target plan.Selector
	// Fields are RFC 6901 pointers in which "*" stands for any one name or place; what is below such a field is meant too. None: any field, and
	// the loss of the whole object.
	Fields []string
	// Managers are names with "*" for any characters. A change of which nobody knows who made it has none.
	Managers []string
	Do       Do
	Severity Severity
}

// PolicyOf reads what a Sync says; nil is the zero Policy.
func PolicyOf(spec *schema.SyncDrift) Policy {
	if spec == nil {
		return Policy{}
	}
	p := Policy{Do: Do(spec.Policy), Severity: Severity(spec.Severity)}
	if spec.Pause != nil {
		p.Pause = spec.Pause.Until.Time
	}
	for _, r := range spec.Rules {
		p.Rules = append(p.Rules, Rule{
			Target: plan.Selector{Group: r.Target.Group, Kind: r.Target.Kind, Namespace: r.Target.Namespace, Name: r.Target.Name, Labels: r.Target.Labels},
			Fields: r.Fields, Managers: r.Managers, Do: Do(r.Policy), Severity: Severity(r.Severity),
		})
	}
	return p
}

// decide gives what the policy says about a record.
func (p *Policy) decide(desired *object.Object, r *Record) (Do, Severity) {
	do, severity := p.Do, p.Severity
	for i := range p.Rules {
		rule := &p.Rules[i]
		if rule.fits(desired, r) {
			do = rule.Do
			if rule.Severity != "" {
				severity = rule.Severity
			}
			break
		}
	}
	if do == "" {
		do = Alert
	}
	if severity == "" {
		severity = Warning
	}
	return do, severity
}

func (rule *Rule) fits(desired *object.Object, r *Record) bool {
	if !rule.Target.Selects(desired) {
		return false
	}
	if len(rule.Fields) > 0 && !anyOf(rule.Fields, func(f string) bool { return below(f, r.Pointer) }) {
		return false
	}
	return len(rule.Managers) == 0 || anyOf(rule.Managers, func(pattern string) bool {
		for _, b := range r.By {
			if plan.Glob(pattern, b.Manager) {
				return true
			}
		}
		return false
	})
}

func anyOf(list []string, ok func(string) bool) bool {
	for _, s := range list {
		if ok(s) {
			return true
		}
	}
	return false
}

// below tells whether a pointer is what a pattern names, or something in it.
func below(pattern, pointer string) bool {
	want, got := strings.Split(pattern, "/"), strings.Split(pointer, "/")
	if len(got) < len(want) {
		return false
	}
	for i, token := range want {
		if token != got[i] && (token != "*" || got[i] == "") {
			return false
		}
	}
	return true
}
