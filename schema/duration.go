package schema

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"headgate.dev/schema/source"
)

// Duration is a Gateway API duration (GEP-2257). The zero value means "not given".
type Duration struct {
	// Text is the duration in Gateway API's form, as written or normalised ("1.5s" becomes "1s500ms").
	Text string
	// Value is the same as a time.
	Value time.Duration
}

// Given says whether the field was written.
func (d Duration) Given() bool { return d.Text != "" }

// gatewayDuration is the pattern of GEP-2257.
var gatewayDuration = regexp.MustCompile(`^([0-9]{1,5}(h|m|s|ms)){1,4}$`)

// longestDuration is the longest GEP-2257 can say in one unit each.
const longestDuration = 99999*time.Hour + 59*time.Minute + 59*time.Second + 999*time.Millisecond

// ParseDuration reads a GEP-2257 duration, and with fractions what Go's time.ParseDuration reads as long as it is whole
// milliseconds.
func ParseDuration(text string) (Duration, error) {
	value, err := time.ParseDuration(text)
	switch {
	case err != nil && text != "" && onlyDigits(text):
		return Duration{}, fmt.Errorf("%q is not a duration; write \"%ss\"", source.Shorten(text), source.Shorten(text))
	case err != nil:
		return Duration{}, fmt.Errorf("%q is not a duration; write it with h, m, s and ms, as \"1m30s\"", source.Shorten(text))
	case value < 0 || text[0] == '+' || text[0] == '-':
		return Duration{}, fmt.Errorf("%q is not a duration: it has a sign", source.Shorten(text))
	case value%time.Millisecond != 0:
		return Duration{}, fmt.Errorf("%q is not a duration of whole milliseconds", source.Shorten(text))
	case value > longestDuration:
		return Duration{}, fmt.Errorf("%q is longer than 99999h", source.Shorten(text))
	}
	if !gatewayDuration.MatchString(text) {
		text = formatDuration(value)
	}
	return Duration{Text: text, Value: value}, nil
}

// formatDuration writes whole milliseconds in the form of GEP-2257.
func formatDuration(value time.Duration) string {
	if value == 0 {
		return "0s"
	}
	var b strings.Builder
	for _, unit := range []struct {
		name string
		size time.Duration
	}{{"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}, {"ms", time.Millisecond}} {
		if count := value / unit.size; count > 0 {
			fmt.Fprintf(&b, "%d%s", count, unit.name)
			value -= count * unit.size
		}
	}
	return b.String()
}

func (d *decoder) duration(n *Node) Duration {
	if n.Kind == IntNode || n.Kind == FloatNode {
		if n.Kind == IntNode && n.Int() == 0 {
			d.errorf(n.Pos, "expected a duration, found the number 0; write \"0s\" for no bound")
			return Duration{}
		}
		d.errorf(n.Pos, "%q is not a duration; write \"%ss\"", n.Text, n.Text)
		return Duration{}
	}
	text, ok := d.text(n, "a duration")
	if !ok {
		return Duration{}
	}
	value, err := ParseDuration(text)
	if err != nil {
		d.errorf(n.Pos, "%s", err)
	}
	return value
}
