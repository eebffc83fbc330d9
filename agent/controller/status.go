package controller

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"headgate.dev/agent/plan"
	"headgate.dev/schema"
)

// Statuses writes the statuses of Syncs. Everything of this process that says something in one goes through it, so that no part undoes
// what another wrote.
type Statuses struct {
	client client.Client // reads from the cache

	mu      sync.Mutex // guards entries
	entries map[plan.Owner]*statusEntry
}

// statusEntry is the status of one Sync.
type statusEntry struct {
	writing sync.Mutex // held during a write; whoever only reads does not wait for the API server

	mu   sync.Mutex // guards what follows
	uid  types.UID
	last *schema.SyncStatus // as it was written last; nil: not by this process
}

func newStatuses(c client.Client) *Statuses {
	return &Statuses{client: c, entries: map[plan.Owner]*statusEntry{}}
}

func (s *Statuses) entry(owner plan.Owner) *statusEntry {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[owner]
	if e == nil {
		e = &statusEntry{}
		s.entries[owner] = e
	}
	return e
}

func (s *Statuses) forget(owner plan.Owner) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.entries, owner)
}

// Get gives the status of a Sync, as it was written last.
func (s *Statuses) Get(ctx context.Context, sync *schema.Sync) schema.SyncStatus {
	return *s.entry(plan.Owner{Namespace: sync.Namespace, Name: sync.Name}).current(sync).DeepCopy()
}

// current gives the status as it was written last. It is not written to.
func (e *statusEntry) current(sync *schema.Sync) *schema.SyncStatus {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.last == nil || e.uid != sync.UID {
		return &sync.Status
	}
	return e.last
}

// Update writes what f makes of the status of a Sync, and nothing when that changes nothing. Only the fields that differ are
// sent. It gives the status before and after. A Sync that is gone is no error.
func (s *Statuses) Update(ctx context.Context, sync *schema.Sync, f func(*schema.SyncStatus)) (before, after schema.SyncStatus, err error) {
	owner := plan.Owner{Namespace: sync.Namespace, Name: sync.Name}
	e := s.entry(owner)
	e.writing.Lock()
	defer e.writing.Unlock()
	before = *e.current(sync).DeepCopy()
	next := before.DeepCopy()
	f(next)
	if equality.Semantic.DeepEqual(&before, next) {
		return before, before, nil
	}
	data, err := statusPatch(&before, next)
	if err != nil {
		return before, before, err
	}
	written := &schema.Sync{}
	written.Namespace, written.Name = sync.Namespace, sync.Name
	err = s.client.Status().Patch(ctx, written, client.RawPatch(types.MergePatchType, data))
	if apierrors.IsNotFound(err) {
		return before, before, nil
	}
	if err != nil {
		return before, before, fmt.Errorf("writing the status of %s: %w", owner, err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.uid, e.last = sync.UID, next
	return before, *next.DeepCopy(), nil
}

// statusPatch gives a JSON merge patch (RFC 7386) from one status to another: lists are replaced, what is gone is null.
func statusPatch(before, after *schema.SyncStatus) ([]byte, error) {
	from, err := fieldsOf(before)
	if err != nil {
		return nil, err
	}
	to, err := fieldsOf(after)
	if err != nil {
		return nil, err
	}
	return json.Marshal(map[string]any{"status": difference(from, to)})
}

func fieldsOf(status *schema.SyncStatus) (map[string]any, error) {
	data, err := json.Marshal(status)
	if err != nil {
		return nil, fmt.Errorf("encoding a status: %w", err)
	}
	out := map[string]any{}
	return out, json.Unmarshal(data, &out)
}

func difference(from, to map[string]any) map[string]any {
	out := map[string]any{}
	for key := range from {
		if _, there := to[key]; !there {
			out[key] = nil
		}
	}
	for key, value := range to {
		old, there := from[key]
		a, isMap := old.(map[string]any)
		b, isMapToo := value.(map[string]any)
		switch {
		case there && equality.Semantic.DeepEqual(old, value):
		case isMap && isMapToo:
			out[key] = difference(a, b)
		default:
			out[key] = value
		}
	}
	return out
}
