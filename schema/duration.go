package schema

import "headgate.dev/schema/internal/duration"

// Duration is a duration of Gateway API (GEP-2257). The zero value means "not given".
type Duration = duration.Duration

// ParseDuration reads a GEP-2257 duration, and with fractions what Go's time.ParseDuration reads as long as it is whole milliseconds.
func ParseDuration(text string) (Duration, error) { return duration.Parse(text) }

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
