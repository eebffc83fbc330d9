package main

import (
	"encoding/json"
	"io"
	"time"

	"headgate.dev/agent"
	"headgate.dev/cmd/internal/local"
	"headgate.dev/schema"
)

// jsonReport writes one JSON object per line.
type jsonReport struct {
	base
	w     io.Writer
	about about
}

func (r *jsonReport) write(v any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	// Nothing can be done about a reader that went away but to end with the next signal.
	encoder := json.NewEncoder(r.w)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(v)
}

type readyEvent struct {
	Event      string  `json:"event"` // ready
	Envoy      string  `json:"envoy"`
	Repository string  `json:"repository"`
	Path       string  `json:"path"`
	StartMS    float64 `json:"startMs"`
}

func (r *jsonReport) ready(d time.Duration) {
	r.write(readyEvent{Event: "ready", Envoy: envoyVersion, Repository: r.about.repository, Path: r.about.path, StartMS: ms(d)})
}

func (r *jsonReport) restarted(err error) {
	r.write(errorEvent{Event: "error", Errors: schema.Errors{{Message: err.Error() + "; it is started again with the same configuration"}}})
}

type liveEvent struct {
	Event    string       `json:"event"` // live
	Ref      string       `json:"ref,omitempty"`
	Revision string       `json:"revision"`
	Subject  string       `json:"subject,omitempty"`
	Objects  int          `json:"objects"`
	Changed  int          `json:"changed"`
	Removed  int          `json:"removed"`
	Envoys   agent.Envoys `json:"envoys"`
	MS       stagesEvent  `json:"ms"`
	Served   []local.Row  `json:"served,omitempty"`
	// Listeners are the ports that got their place on this machine just now.
	Listeners []local.Place `json:"listeners,omitempty"`
	// Hidden are rules that no request reaches from now on.
	Hidden []local.Hidden `json:"hidden,omitempty"`
	// CA is the certificate to trust, where any is signed by it.
	CA       string        `json:"ca,omitempty"`
	Warnings schema.Errors `json:"warnings,omitempty"`
	Refused  schema.Errors `json:"refused,omitempty"`
}

type stagesEvent struct {
	Fetch  float64 `json:"fetch"`
	Render float64 `json:"render"`
	Apply  float64 `json:"apply"`
	Ack    float64 `json:"ack"`
	Total  float64 `json:"total"`
}

type errorEvent struct {
	Event    string        `json:"event"` // error
	Revision string        `json:"revision,omitempty"`
	Subject  string        `json:"subject,omitempty"`
	Serving  string        `json:"serving,omitempty"` // the revision that keeps serving
	Errors   schema.Errors `json:"errors"`
}

func (r *jsonReport) outcome(o agent.Outcome) {
	if o.Err != nil {
		e := errorEvent{Event: "error", Errors: append(inputErrors(o.Err), o.Live.Refused...)}
		if o.Commit != nil {
			e.Revision, e.Subject = o.Commit.Revision, o.Commit.Subject
		}
		if o.Kept != nil && !o.Applied() {
			e.Serving = o.Kept.Revision
		}
		r.write(e)
		return
	}
	e := liveEvent{
		Event: "live", Ref: o.Commit.Ref, Revision: o.Commit.Revision, Subject: o.Commit.Subject,
		Objects: o.Change.Set.Len(), Changed: len(o.Change.Put), Removed: len(o.Change.Removed), Envoys: o.Live.Envoys,
		MS: stagesEvent{
			Fetch: ms(o.Stages.Fetch), Render: ms(o.Stages.Render), Apply: ms(o.Stages.Apply),
			Ack: ms(o.Stages.Ack), Total: ms(o.Stages.Total)},
		Warnings: append(o.Warnings, r.stack.UnusedEndpoints()...), Refused: o.Live.Refused, CA: r.stack.CA(),
	}
	if o.Kept == nil {
		e.Served, _ = r.stack.Rows(rowLimit)
	}
	if o.Kept == nil || o.Kept.Revision != o.Commit.Revision {
		e.Listeners, e.Hidden = r.stack.NewListeners(), r.stack.NewlyHidden()
		e.Warnings = append(e.Warnings, r.unsaid(r.stack.AliasConflicts())...)
	}
	r.write(e)
}

// ms gives milliseconds with three decimals.
func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
