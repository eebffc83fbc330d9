package notify

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// alertmanager posts to the API v2 of an Alertmanager (https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml). The labels of an alert
// are the same from its begin to its end.
type alertmanager struct{ http *HTTP }

type alert struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	StartsAt    time.Time         `json:"startsAt"`
	EndsAt      *time.Time        `json:"endsAt,omitempty"`
}

// notedFor is how long an Alertmanager shows what is no alert.
const notedFor = 5 * time.Minute

func (s alertmanager) Send(ctx context.Context, to Address, batch Batch) error {
	body, err := alerts(batch)
	if err != nil {
		return err
	}
	to.URL = strings.TrimRight(to.URL, "/")
	if !strings.HasSuffix(to.URL, "/api/v2/alerts") {
		to.URL += "/api/v2/alerts"
	}
	return s.http.post(ctx, to, body, http.Header{"Content-Type": {"application/json"}})
}

func alerts(batch Batch) ([]byte, error) {
	var out []alert
	for i := range batch.Notices {
		n := &batch.Notices[i]
		description, err := text(&batch.Receiver, n)
		if err != nil {
			return nil, &SendError{Message: err.Error(), Permanent: true}
		}
		a := alert{
			Labels:      labels(n),
			Annotations: map[string]string{"summary": n.Title, "description": description},
			StartsAt:    n.Opened,
		}
		if n.Revision != "" {
			a.Annotations["revision"] = n.Revision
		}
		switch n.Phase {
		case Resolved:
			a.EndsAt = &n.At
		case Noted:
			end := n.At.Add(notedFor)
			a.EndsAt = &end
		}
		if a.EndsAt != nil && a.EndsAt.Before(a.StartsAt) { // a clock was put back
			a.StartsAt = *a.EndsAt
		}
		out = append(out, a)
	}
	return marshal(out)
}

func labels(n *Notice) map[string]string {
	name, _, _ := strings.Cut(n.Sync, "/")
	out := map[string]string{
		"alertname": "Headgate" + strings.ToUpper(string(n.Event[:1])) + string(n.Event[1:]), "severity": n.Severity, "sync": n.Sync, "namespace": name, "key": n.Key,
	}
	for label, value := range map[string]string{"cluster": n.Cluster, "kind": n.Kind, "object": n.Object} {
		if value != "" {
			out[label] = value
		}
	}
	return out
}

// slack posts to an incoming webhook (https://api.slack.com/messaging/webhooks). What is written is shown as it is: neither links nor mentions come of it.
type slack struct{ http *HTTP }

var slackEscapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

var slackColors = map[string]string{Info: "#2eb67d", Warning: "#ecb22e", Critical: "#e01e5a"}

func (s slack) Send(ctx context.Context, to Address, batch Batch) error {
	for i := range batch.Notices {
		body, err := slackMessage(&batch.Receiver, &batch.Notices[i])
		if err != nil {
			return err
		}
		if err := s.http.post(ctx, to, body, http.Header{"Content-Type": {"application/json"}}); err != nil {
			return err
		}
	}
	return nil
}

func slackMessage(r *Receiver, n *Notice) ([]byte, error) {
	message, err := text(r, n)
	if err != nil {
		return nil, &SendError{Message: err.Error(), Permanent: true}
	}
	color := slackColors[n.Severity]
	if n.Phase == Resolved {
		color = slackColors[Info]
	}
	// parse: none, so that names and channels are not looked for in it; no formatting either.
	return marshal(map[string]any{
		"text": slackEscapes.Replace(n.Title), "parse": "none", "link_names": false,
		"attachments": []any{map[string]any{"color": color, "text": slackEscapes.Replace(message), "mrkdwn_in": []string{}, "fallback": slackEscapes.Replace(n.Title)}},
	})
}

// webhook posts a CloudEvent in binary mode (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md). The body is signed as
// GitHub's are: "sha256=" and the HMAC in hexadecimal digits, in X-Headgate-Signature.
type webhook struct{ http *HTTP }

func (s webhook) Send(ctx context.Context, to Address, batch Batch) error {
	for i := range batch.Notices {
		body, header, err := cloudEvent(&batch.Receiver, &batch.Notices[i])
		if err != nil {
			return err
		}
		if len(to.HMAC) > 0 {
			header.Set("X-Headgate-Signature", Sign(body, to.HMAC))
		}
		if err := s.http.post(ctx, to, body, header); err != nil {
			return err
		}
	}
	return nil
}

// Sign gives the signature of a body, as a Webhook's receiver gets it.
func Sign(body, key []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// eventData is the data of a CloudEvent.
type eventData struct {
	Notice
	Text string `json:"text"`
}

func cloudEvent(r *Receiver, n *Notice) ([]byte, http.Header, error) {
	message, err := text(r, n)
	if err != nil {
		return nil, nil, &SendError{Message: err.Error(), Permanent: true}
	}
	body, err := marshal(eventData{*n, message})
	if err != nil {
		return nil, nil, err
	}
	// The same notice sent twice has the same id, so that whoever gets it can tell.
	sum := sha256.Sum256(append([]byte(n.Key+"\x00"+string(n.Phase)+"\x00"+n.At.UTC().Format(time.RFC3339Nano)+"\x00"+n.Sync+"\x00"+n.Cluster+"\x00"), body...))
	header := http.Header{
		"Content-Type":   {"application/json"},
		"Ce-Specversion": {"1.0"},
		"Ce-Id":          {hex.EncodeToString(sum[:16])},
		"Ce-Source":      {"/headgate/" + percent(n.Cluster) + "/syncs/" + percent(n.Sync)},
		"Ce-Type":        {"dev.headgate." + string(n.Event) + "." + string(n.Phase)},
		"Ce-Time":        {n.At.UTC().Format(time.RFC3339Nano)},
	}
	if n.Object != "" {
		header["Ce-Subject"] = []string{percent(n.Kind + "/" + n.Object)}
	}
	return body, header, nil
}

// percent writes a text as the header of a CloudEvent has it: printable ASCII but for the space, the quote and the percent sign; all else as %XX.
func percent(s string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if c := s[i]; c > ' ' && c < utf8.RuneSelf-1 && c != '"' && c != '%' {
			b.WriteByte(c)
		} else {
			b.WriteString("%" + string(digits[c>>4]) + string(digits[c&15]))
		}
	}
	return b.String()
}

func marshal(v any) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, &SendError{Message: "writing it as JSON: " + err.Error(), Permanent: true}
	}
	return body, nil
}

// Verdict is what is said about a commit.
type Verdict struct {
	// Event is what it is about: each has a status of its own.
	Event Event
	// Revision is the commit's; empty: the one that is applied.
	Revision string
	// Good tells whether all is well.
	Good bool
	// Text is a line.
	Text string
}

// Setter sets the status of a commit of a Sync at its Git host.
type Setter interface {
	// SetStatus does so within Timeout. An error that is a *SendError is passed on.
	SetStatus(ctx context.Context, v Verdict) error
}

// CommitStatus tells a Git host. How far a commit is, is another status.
type CommitStatus struct{ Setter Setter }

// Send sets a status for each event of the notices: bad as long as an alert about it is open.
func (s CommitStatus) Send(ctx context.Context, _ Address, batch Batch) error {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	all, err := verdicts(&batch)
	if err != nil {
		return &SendError{Message: err.Error(), Permanent: true}
	}
	for _, v := range all {
		if err := s.Setter.SetStatus(ctx, v); err != nil {
			var own *SendError
			if errors.As(err, &own) {
				return own
			}
			return &SendError{Message: err.Error()}
		}
	}
	return nil
}

// verdicts gives what a batch says about commits, in the order of its notices.
func verdicts(batch *Batch) ([]Verdict, error) {
	var out []Verdict
	for i := range batch.Notices {
		n := &batch.Notices[i]
		open := slices.DeleteFunc(slices.Clone(batch.Open), func(o Notice) bool { return o.Event != n.Event })
		v := Verdict{Event: n.Event, Good: len(open) == 0 && !n.bad() && n.Key != summaryKey} // a summary counts what nobody was told
		if n.Phase == Noted && slices.Contains([]Event{Deployed, Failed, Preview}, n.Event) {
			v.Revision = n.Revision
		}
		about := n
		if len(open) > 0 {
			about = &open[len(open)-1]
		}
		text, err := lineOf(&batch.Receiver, about)
		if err != nil {
			return nil, err
		}
		if v.Text = text; len(open) > 1 {
			v.Text = fmt.Sprintf("%d alerts are open, one of them: %s", len(open), text)
		}
		if known := slices.IndexFunc(out, func(o Verdict) bool { return o.Event == v.Event && o.Revision == v.Revision }); known >= 0 {
			out[known] = v
			continue
		}
		out = append(out, v)
	}
	return out, nil
}

// lineOf gives a notice in a line.
func lineOf(r *Receiver, n *Notice) (string, error) {
	out := n.Title
	if r.Template != "" {
		var err error
		if out, err = text(r, n); err != nil {
			return "", err
		}
	}
	return strings.Join(strings.Fields(out), " "), nil
}

// Recorder makes Kubernetes Events about a Sync.
type Recorder interface {
	// Event takes NAMESPACE/NAME of the Sync, whether it is good news, a reason in one word and a text.
	Event(sync string, good bool, reason, text string)
}

// KubernetesEvent makes Events.
type KubernetesEvent struct{ Recorder Recorder }

// maxEvent is the longest text of an Event (core/v1 validation).
const maxEvent = 1024

// Send makes an Event for each notice.
func (s KubernetesEvent) Send(_ context.Context, _ Address, batch Batch) error {
	for i := range batch.Notices {
		n := &batch.Notices[i]
		message, err := text(&batch.Receiver, n)
		if err != nil {
			return &SendError{Message: err.Error(), Permanent: true}
		}
		good := n.Phase == Resolved || n.Phase == Noted && !n.bad()
		s.Recorder.Event(n.Sync, good, Reason(n), shorten(message, maxEvent))
	}
	return nil
}

// Reason gives a notice's event and phase in one word: DriftOpened.
func Reason(n *Notice) string {
	title := func(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
	if n.Phase == Noted && n.Event != Drift {
		return title(string(n.Event))
	}
	return title(string(n.Event)) + title(string(n.Phase))
}

// shorten cuts a text to n bytes, at the border of a character.
func shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	n -= len("…")
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
