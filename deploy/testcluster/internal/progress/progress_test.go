package progress

import (
	"bytes"
	"testing"
	"time"
)

func TestPrinter(t *testing.T) {
	at := func(seconds float64) time.Time {
		return time.Unix(1000, 0).Add(time.Duration(seconds * float64(time.Second)))
	}
	for terminal, want := range map[bool]string{
		false: "etcd: 1 package\netcd: 9 packages\netcd: done in 20s\nnode: starting\n",
		true: "\r\x1b[Ketcd: 1 package\r\x1b[Ketcd: 2 packages\r\x1b[Ketcd: 9 packages\r\x1b[Ketcd: done in 20s\n" +
			"\r\x1b[Knode: starting\r\x1b[K",
	} {
		var out bytes.Buffer
		p := &Printer{out: &out, terminal: terminal}
		p.say(at(0), "etcd", "1 package")
		p.say(at(1), "etcd", "2 packages")
		p.say(at(16), "etcd", "9 packages")
		p.say(at(20), "node", "starting")
		p.end(at(20.4))
		if out.String() != want {
			t.Errorf("terminal %v:\n%q\nwant\n%q", terminal, out.String(), want)
		}
	}
}
