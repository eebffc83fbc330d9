package controller

import (
	"context"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"headgate.dev/agent/drift"
	"headgate.dev/agent/notify"
	"headgate.dev/agent/plan"
	"headgate.dev/schema"
)

// eventsReceiver gets everything about drift, unless the Sync says itself what becomes an Event. Of commits there are Events anyway.
var eventsReceiver = notify.Receiver{
	Name: "-events", Type: notify.TypeEvent, Severity: notify.Info, Events: []notify.Event{notify.Drift, notify.Stale},
}

// receiversOf reads who is told.
func receiversOf(s *schema.Sync) ([]notify.Receiver, map[string]schema.SyncNotify) {
	var out []notify.Receiver
	specs := map[string]schema.SyncNotify{}
	events := true
	for _, n := range s.Spec.Notify {
		r := notify.Receiver{Name: n.Name, Type: string(n.Type), Kinds: n.Kinds, Severity: string(n.Severity), Template: n.Template}
		for _, e := range n.Events {
			r.Events = append(r.Events, notify.Event(e))
		}
		specs[n.Name] = n
		events = events && n.Type != schema.NotifyEvent
		out = append(out, r)
	}
	if events {
		out = append(out, eventsReceiver)
	}
	return out, specs
}

// told makes a notice of what the state says.
func (f *follower) told(n *drift.Notice) notify.Notice {
	out := f.notice(notify.Drift, n.Key, n.Headline())
	out.Phase, out.Severity, out.Kind = notify.Phase(n.Phase), string(n.Severity), n.Object.Kind
	out.Object, out.Lines, out.Opened, out.At = n.Object.Name, n.Lines(), n.Opened, n.At
	if n.Object.Namespace != "" {
		out.Object = n.Object.Namespace + "/" + n.Object.Name
	}
	return out
}

// notice makes one about the Sync.
func (f *follower) notice(event notify.Event, key, title string) notify.Notice {
	now := f.now()
	return notify.Notice{
		Key: key, Event: event, Phase: notify.Noted, Severity: notify.Warning, Cluster: f.drifts.agent.options.Cluster, Sync: f.owner.Namespace + "/" + f.owner.Name,
		Revision: f.sync.Status.Revision, Title: title, Opened: now, At: now,
	}
}

// post puts a notice into the outbox.
func (f *follower) post(n notify.Notice) {
	f.log.Info(n.Title, "event", n.Event, "phase", n.Phase)
	f.outbox.Add(f.now(), n, f.receivers)
	alertsTotal.WithLabelValues(f.label(), string(n.Event), string(n.Phase)).Inc()
	f.changed()
}

// commits tells what became of a commit, from one status to the next.
func (f *follower) commits(before, after *schema.SyncStatus) {
	if live := liveRevision(after); live != "" && live != liveRevision(before) && live == after.Revision {
		n := f.notice(notify.Deployed, "deployed "+after.Revision, after.Revision+" is live")
		n.Severity, n.Revision = notify.Info, after.Revision
		if after.Live.Took != "" {
			n.Lines = []string{after.Live.Took + " after the push"}
		}
		f.post(n)
	}
	f.failures(lastTry(before), lastTry(after))
}

// failures tells that a commit did not come to be, from one try to the next.
func (f *follower) failures(was, last schema.SyncHistory) {
	if last.Revision == was.Revision && last.Result == was.Result && last.Message == was.Message {
		return
	}
	what := map[schema.SyncResult]string{schema.ResultFailed: " is not applied", schema.ResultRefused: " is refused"}[last.Result]
	if what == "" {
		return
	}
	n := f.notice(notify.Failed, "failed "+last.Revision, last.Revision+what)
	n.Revision = last.Revision
	n.Lines = []string{last.Message}
	f.post(n)
}

func liveRevision(s *schema.SyncStatus) string {
	if s.Live == nil {
		return ""
	}
	return s.Live.Revision
}

// lastTry is the last commit that was tried; zero when none was.
func lastTry(s *schema.SyncStatus) schema.SyncHistory {
	if len(s.History) == 0 {
		return schema.SyncHistory{}
	}
	return s.History[0]
}

// send sends what is due.
func (f *follower) send() {
	for _, batch := range f.outbox.Due(f.now(), f.receivers) {
		account, spec := f.account, f.specs[batch.Receiver.Name]
		go func() {
			err := f.tell(account, &spec, batch)
			if err != nil {
				f.log.Warn("telling a receiver", "receiver", batch.Receiver.Name, "error", err)
			}
			f.do(func() {
				f.outbox.Done(f.now(), batch, err)
				f.changed()
			})
		}()
	}
}

// tell sends one batch.
func (f *follower) tell(a *account, spec *schema.SyncNotify, batch notify.Batch) error {
	var sender notify.Sender = notify.CommitStatus{Setter: &f.setter}
	if batch.Receiver.Type != notify.TypeCommitStatus {
		sender = f.drifts.senders[batch.Receiver.Type]
	}
	if sender == nil {
		return &notify.SendError{Message: "there is no sender of type " + batch.Receiver.Type, Permanent: true}
	}
	ctx, cancel := context.WithTimeout(f.ctx, 2*notify.Timeout)
	defer cancel()
	to := notify.Address{URL: spec.URL}
	if spec.SecretRef != nil {
		values, err := a.Secret(ctx, a.owner.Namespace, spec.SecretRef.Name)
		if err != nil {
			return &notify.SendError{Message: "reading Secret " + spec.SecretRef.Name + ": " + err.Error()}
		}
		to.Token, to.Username, to.Password = string(values["token"]), string(values["username"]), string(values["password"])
		to.HMAC, to.CA = values["hmac"], values["ca.crt"]
		if u := string(values["url"]); u != "" {
			to.URL = u
		}
	}
	return sender.Send(ctx, to, batch)
}

// recorder makes Events about Syncs.
type recorder struct{ agent *Agent }

// Event implements notify.Recorder.
func (r recorder) Event(sync string, good bool, reason, text string) {
	s, err := r.agent.get(ownerCalled(sync))
	if err != nil || s == nil {
		return // there is nothing to attach it to
	}
	kind := corev1.EventTypeWarning
	if good {
		kind = corev1.EventTypeNormal
	}
	r.agent.recorder.Eventf(s, nil, kind, reason, "Notify", "%s", truncate(text))
}

func ownerCalled(sync string) plan.Owner {
	namespace, name, _ := strings.Cut(sync, "/")
	return plan.Owner{Namespace: namespace, Name: name}
}
