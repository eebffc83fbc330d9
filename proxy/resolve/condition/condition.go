// Package condition holds status conditions before they are written, and merges them into those that an object has.
//
// What other controllers wrote stays where and as it is, and so do conditions of types that are not ours. A condition keeps
// its lastTransitionTime while its status is the same, and stays as it is altogether when somebody has already seen a later
// generation. So the result of a merge equals what exists exactly when there is nothing to write.
package condition

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The condition of ours on routes, in the entry of each parent of ours, and on Gateways: whether Envoys have acknowledged what the object
// says.
const (
	Live    = "headgate.dev/Live"
	Pending = "Pending" // a reason: not all have answered
	Refused = "Refused" // a reason: one of them refuses it
)

// LiveReason is the reason of Live where it is true.
const LiveReason = "Acknowledged"

// Condition is a status condition before it is written: without a time, and with the generation of its owner. Messages
// are stable: the same objects give the same text.
type Condition struct {
	Type    string
	Status  metav1.ConditionStatus
	Reason  string
	Message string
}

// True makes a condition that holds.
func True[T, R ~string](t T, reason R, message string) Condition {
	return Condition{string(t), metav1.ConditionTrue, string(reason), message}
}

// False makes a condition that does not hold.
func False[T, R ~string](t T, reason R, message string) Condition {
	return Condition{string(t), metav1.ConditionFalse, string(reason), message}
}

// Set puts a condition in the place of the one of its type, or at the end.
func Set(cs *[]Condition, c Condition) {
	for i := range *cs {
		if (*cs)[i].Type == c.Type {
			(*cs)[i] = c
			return
		}
	}
	*cs = append(*cs, c)
}

// Is tells whether the condition of a type is true.
func Is[T ~string](cs []Condition, t T) bool {
	for i := range cs {
		if cs[i].Type == string(t) {
			return cs[i].Status == metav1.ConditionTrue
		}
	}
	return false
}

// AllTrue tells whether every condition is true.
func AllTrue(cs []Condition) bool {
	for i := range cs {
		if cs[i].Status != metav1.ConditionTrue {
			return false
		}
	}
	return true
}

// Stamp is what a condition gets when it is written.
type Stamp struct {
	Generation int64
	Now        metav1.Time
}

// Merge brings conditions into those that exist. Those of types in ours go when they are not wanted any more. existing is
// not written to.
func Merge(existing []metav1.Condition, wanted []Condition, ours []string, s Stamp) []metav1.Condition {
	out := make([]metav1.Condition, 0, max(len(existing), len(wanted)))
	done := make([]bool, len(wanted))
	for i := range existing {
		c := existing[i]
		j := slices.IndexFunc(wanted, func(w Condition) bool { return w.Type == c.Type })
		switch {
		case j >= 0:
			done[j] = true
			out = append(out, wanted[j].over(c, s))
		case !slices.Contains(ours, c.Type):
			out = append(out, c)
		}
	}
	for j := range wanted {
		if !done[j] {
			out = append(out, wanted[j].over(metav1.Condition{}, s))
		}
	}
	return out
}

// over writes a condition over an earlier one of its type.
func (c Condition) over(before metav1.Condition, s Stamp) metav1.Condition {
	if before.ObservedGeneration > s.Generation {
		return before
	}
	out := metav1.Condition{
		Type: c.Type, Status: c.Status, Reason: c.Reason, Message: clip(c.Message),
		ObservedGeneration: s.Generation, LastTransitionTime: s.Now,
	}
	if before.Status == c.Status {
		out.LastTransitionTime = before.LastTransitionTime
	}
	return out
}

// clip keeps a message within what the API server takes (metav1.Condition: 32768 bytes), at a rune.
func clip(m string) string {
	const most = 32768
	if len(m) <= most {
		return m
	}
	return strings.ToValidUTF8(m[:most-4], "") + " ..."
}

// Bounded joins the first few of n messages and says how many more there are.
func Bounded(n int, message func(int) string) string {
	const most = 5
	parts := make([]string, 0, most+1)
	for i := range min(n, most) {
		parts = append(parts, message(i))
	}
	if n > most {
		parts = append(parts, fmt.Sprintf("and %d more", n-most))
	}
	return strings.Join(parts, "; ")
}
