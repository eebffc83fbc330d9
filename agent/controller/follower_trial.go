package controller

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"headgate.dev/agent/notify"
	"headgate.dev/schema"
)

// maxRequest is how much of a request for a test notice is repeated in its answer, as the field has it.
const maxRequest = 256

// trial answers a request for a test notice: the receivers that are asked for are told one, whatever their filters say, and the status says what came of
// it. One request is answered after the other; of those that come meanwhile, the last.
func (f *follower) trial() {
	request := f.sync.Annotations[schema.NotifyTestRequest]
	if request == "" || len(request) > maxRequest || request == f.tried || f.trying {
		return
	}
	f.tried = request
	if answered(f.drifts.agent.statuses.Get(f.ctx, f.sync).Notify, request) {
		return
	}
	_, name, _ := strings.Cut(request, " ")
	var batches []notify.Batch
	for i := range f.receivers {
		r := &f.receivers[i]
		if _, named := f.specs[r.Name]; named && (name == "" || name == r.Name) {
			batches = append(batches, notify.Batch{Receiver: *r, Notices: []notify.Notice{f.trialNotice(r)}})
		}
	}
	s, specs, account := f.sync, f.specs, f.account
	f.trying = true
	go func() {
		answer := &schema.SyncNotifyTest{Request: request, Results: f.trials(account, specs, batches)}
		ctx, cancel := context.WithTimeout(f.ctx, callTimeout)
		defer cancel()
		_, _, err := f.drifts.agent.statuses.Update(ctx, s, func(status *schema.SyncStatus) {
			next := notifyStatus(status)
			next.Test, status.Notify = answer, next
		})
		if err != nil && ctx.Err() == nil {
			f.log.Warn("telling what came of a test notice", "error", err)
		}
		f.do(func() { f.trying = false; f.trial() })
	}()
}

func answered(n *schema.SyncNotifyStatus, request string) bool {
	return n != nil && n.Test != nil && n.Test.Request == request
}

// trialNotice is what a receiver is told, as bad as what it is told usually.
func (f *follower) trialNotice(r *notify.Receiver) notify.Notice {
	n := f.notice(notify.Test, "test "+r.Name, "This is a test of receiver "+r.Name+" of Sync "+f.label())
	n.Severity = cmp.Or(r.Severity, notify.Warning)
	n.Lines = []string{"Somebody asked for it with headgate notify test. Nothing has happened."}
	return n
}

// trials sends to all at the same time, past the outbox: what cannot be delivered now is not tried again.
func (f *follower) trials(a *account, specs map[string]schema.SyncNotify, batches []notify.Batch) []schema.SyncNotifyResult {
	out := make([]schema.SyncNotifyResult, len(batches))
	var all sync.WaitGroup
	for i, batch := range batches {
		all.Go(func() {
			spec, began := specs[batch.Receiver.Name], f.now()
			err := f.tell(a, &spec, batch)
			out[i] = schema.SyncNotifyResult{Name: spec.Name, Took: f.now().Sub(began).Round(time.Millisecond).String()}
			if err != nil {
				out[i].Error = truncate(err.Error())
			}
		})
	}
	all.Wait()
	return out
}

// notifyStatus gives what a status says about receivers, to be changed.
func notifyStatus(s *schema.SyncStatus) *schema.SyncNotifyStatus {
	if s.Notify == nil {
		return &schema.SyncNotifyStatus{}
	}
	return s.Notify.DeepCopy()
}

// troubles puts into a status which receivers did not take the last notice.
func troubles(s *schema.SyncStatus, all map[string]string) {
	next := notifyStatus(s)
	next.Troubles = nil
	for name, message := range all {
		if name != eventsReceiver.Name {
			next.Troubles = append(next.Troubles, schema.SyncNotifyResult{Name: name, Error: truncate(message)})
		}
	}
	slices.SortFunc(next.Troubles, func(a, b schema.SyncNotifyResult) int { return strings.Compare(a.Name, b.Name) })
	if s.Notify = next; next.Test == nil && next.Troubles == nil {
		s.Notify = nil
	}
}
