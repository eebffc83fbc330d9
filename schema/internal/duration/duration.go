// Package duration reads the durations of Gateway API.
package duration

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

// Parse reads a GEP-2257 duration, and with fractions what Go's time.Parse reads as long as it is whole
// milliseconds.
func Parse(text string) (Duration, error) {
	value, err := time.ParseDuration(text)
	switch {
	case err != nil && text != "" && strings.Trim(text, "0123456789") == "":
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
		text = format(value)
	}
	return Duration{Text: text, Value: value}, nil
}

// format writes whole milliseconds in the form of GEP-2257.
func format(value time.Duration) string {
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
