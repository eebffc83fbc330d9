package local

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
)

// transcript is what somebody who tries an example types and sees, as it would look at a terminal beside `headgate up`:
//
//	$ curl http://shop.localhost:8080/search -H 'x-canary: always'
//	200 from default/search:9200
//	> host: search.internal
//	> x-debug: (none)
//	< x-served-by: search
//
// The first line says how it ended and which Service answered; for a redirect the location follows. A line with ">" is what
// the backend was sent: a header, or host, method, path, query and serverName (what it was called in TLS). A line with "<" is a
// header of the answer. Behind "repeat N" the answers are counted instead:
//
//	$ repeat 1000 curl http://shop.localhost:8080/
//	90 % 200 from default/shop-v1:8080
//	10 % 200 from default/shop-v2:8080
//
// Commands are curl, grpcurl, websocat, nc and openssl s_client; they are not run, but done (terminal). Ports are those
// of `headgate up`.
type transcript struct{ steps []*step }

// step is a command with its answer, or text that is kept.
type step struct {
	text     string
	command  string // without "$ "; empty for text
	expected []string
}

func parseTranscript(text string) *transcript {
	t := &transcript{}
	var last *step
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		command, is := strings.CutPrefix(line, "$ ")
		switch {
		case is:
			last = &step{command: command}
			t.steps = append(t.steps, last)
		case line == "" || strings.HasPrefix(line, "#") || last == nil:
			last = nil
			t.steps = append(t.steps, &step{text: line})
		default:
			last.expected = append(last.expected, line)
		}
	}
	return t
}

func (t *transcript) String() string {
	var b strings.Builder
	for _, s := range t.steps {
		if s.command == "" {
			fmt.Fprintln(&b, s.text)
			continue
		}
		fmt.Fprintln(&b, "$ "+s.command)
		for _, line := range s.expected {
			fmt.Fprintln(&b, line)
		}
	}
	return b.String()
}

// answer is how a command ended.
type answer struct {
	first string
	// sent is what the backend got, and got what the client got, by lower-case names. The value of a name that is missing is "".
	sent, got func(name string) string
}

// run does every command and puts its answer in place of the expected one.
func (term *terminal) run(t *testing.T, all *transcript) {
	t.Helper()
	for _, s := range all.steps {
		if s.command == "" {
			continue
		}
		times, command := 1, s.command
		if _, err := fmt.Sscanf(command, "repeat %d ", &times); err == nil {
			command = strings.SplitN(command, " ", 3)[2]
		}
		words, err := splitWords(command)
		if err != nil {
			t.Fatalf("%s: %v", s.command, err)
		}
		if times > 1 {
			s.expected = term.shares(times, words, s.expected)
		} else {
			s.expected = term.do(words).lines(s.expected)
		}
	}
}

// lines gives an answer, saying as much of it as the expected lines do.
func (a answer) lines(expected []string) []string {
	out := []string{a.first}
	for _, line := range expected {
		var value string
		mark, name, _ := strings.Cut(line, " ")
		name, _, _ = strings.Cut(name, ":")
		switch {
		case mark == ">" && a.sent != nil:
			value = a.sent(name)
		case mark == "<" && a.got != nil:
			value = a.got(name)
		case mark != ">" && mark != "<":
			continue
		}
		if value == "" {
			value = "(none)"
		}
		out = append(out, mark+" "+name+": "+value)
	}
	return out
}

// tolerance is by how many percent a share may miss what is expected: five standard deviations of halves of a thousand requests.
const tolerance = 8

// shares does a command many times and counts the answers. What is near enough to the expected share is the expected one.
func (term *terminal) shares(times int, words, expected []string) []string {
	var mu sync.Mutex
	counts := map[string]int{}
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for range times / 8 {
				a := term.do(words)
				mu.Lock()
				counts[a.first]++
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	var out []string
	for _, line := range expected { // in the order in which they are expected
		var share int
		if _, err := fmt.Sscanf(line, "%d %%", &share); err != nil {
			continue
		}
		_, first, _ := strings.Cut(line, " % ")
		n, has := counts[first]
		if delete(counts, first); !has {
			continue
		}
		if got := 100 * float64(n) / float64(times/8*8); math.Abs(got-float64(share)) > tolerance {
			share = int(math.Round(got))
		}
		out = append(out, fmt.Sprintf("%d %% %s", share, first))
	}
	var rest []string
	for first, n := range counts {
		rest = append(rest, fmt.Sprintf("%d %% %s", int(math.Round(100*float64(n)/float64(times/8*8))), first))
	}
	slices.Sort(rest)
	return append(out, rest...)
}

// splitWords splits a line as a shell does, with ' and ".
func splitWords(line string) (words []string, err error) {
	var word strings.Builder
	var quote rune
	in := false
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '\'' || r == '"'):
			quote, in = r, true
		case quote == 0 && r == ' ':
			if in {
				words = append(words, word.String())
			}
			word.Reset()
			in = false
		default:
			word.WriteRune(r)
			in = true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("a %c is open", quote)
	}
	if in {
		words = append(words, word.String())
	}
	return words, nil
}
