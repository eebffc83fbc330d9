package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"headgate.dev/cmd/internal/term"
	"headgate.dev/schema"
	"headgate.dev/schema/source"
)

// ErrNotDelivered is what a test of receivers ends with when one did not take the notice. All that is to be said about it was said.
var ErrNotDelivered = errors.New("a notice was not delivered")

// notifyFlags are the flags of `headgate notify test`.
type notifyFlags struct {
	Flags
	receiver string
	timeout  time.Duration
}

func notifyCommand(p Program) *cobra.Command {
	c := &cobra.Command{
		Use:   "notify",
		Short: "Find out whether those who are to be told can be",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	var f notifyFlags
	test := &cobra.Command{
		Use:   "test SYNC",
		Short: "Have a test notice sent to the receivers of a Sync",
		Long: `Have the controller send a test notice to each receiver of a Sync's spec.notify, and say what each answered. It is
sent from where real ones are, with the credentials that they have, past all filters, and once.

Exit codes: 0 all took it, 1 one did not, 3 nobody answered in time.`,
		Example: `  headgate notify test shop
  headgate notify test shop --receiver on-call`,
		Args:              cobra.ExactArgs(1),
		RunE:              func(c *cobra.Command, args []string) error { return f.test(c.Context(), p, args[0]) },
		ValidArgsFunction: f.completeSyncs(p, 1),
	}
	f.add(test, p)
	test.Flags().StringVar(&f.receiver, "receiver", "", "name of one of spec.notify (default all)")
	test.Flags().DurationVar(&f.timeout, "timeout", time.Minute, "how long to wait")
	c.AddCommand(test)
	return c
}

func (f *notifyFlags) test(ctx context.Context, p Program, name string) error {
	c, s, err := f.open(ctx, p, name)
	if err != nil {
		return err
	}
	if err := hasReceiver(s, f.receiver); err != nil {
		return err
	}
	ctx, stop := context.WithTimeout(ctx, f.timeout)
	defer stop()
	request := strings.TrimSpace(time.Now().UTC().Format(time.RFC3339Nano) + " " + f.receiver)
	s, err = c.patch(ctx, s, map[string]any{"metadata": map[string]any{"annotations": map[string]any{schema.NotifyTestRequest: request}}})
	if err != nil {
		return err
	}
	for {
		if n := s.Status.Notify; n != nil && n.Test != nil && n.Test.Request == request {
			return f.tell(p, s, n.Test.Results)
		}
		next, err := c.change(ctx, s)
		switch {
		case errors.Is(ctx.Err(), context.DeadlineExceeded):
			return fmt.Errorf("waiting: nobody has answered for Sync %s/%s within %s: is the controller up? %s status %s",
				s.Namespace, s.Name, f.timeout, p.Name, s.Name)
		case err != nil:
			return err
		}
		s = next
	}
}

// hasReceiver says what is there where a Sync does not have the receiver that is asked for; an empty name is any.
func hasReceiver(s *schema.Sync, name string) error {
	var names []string
	for _, n := range s.Spec.Notify {
		names = append(names, n.Name)
	}
	switch {
	case len(names) == 0:
		return usage("Sync %s/%s tells nobody: spec.notify is empty", s.Namespace, s.Name)
	case name == "" || slices.Contains(names, name):
		return nil
	}
	text := fmt.Sprintf("Sync %s/%s has no receiver %s; it has %s", s.Namespace, s.Name, name, strings.Join(names, ", "))
	if near := source.Nearest(name, names); near != "" {
		text += "; did you mean " + near + "?"
	}
	return &NotFoundError{text}
}

// tell says what came of it, a line for each receiver.
func (f *notifyFlags) tell(p Program, s *schema.Sync, results []schema.SyncNotifyResult) error {
	types := map[string]schema.NotifyType{}
	for _, n := range s.Spec.Notify {
		types[n.Name] = n.Type
	}
	var rows [][]string
	bad := false
	for _, r := range results {
		text := "delivered in " + took(r.Took)
		if r.Error != "" {
			bad, text = true, "not delivered: "+r.Error
		}
		rows = append(rows, []string{r.Name, string(types[r.Name]), schema.Printable(text)})
	}
	fmt.Fprint(p.Out, term.Fit(0, rows))
	if bad {
		return ErrNotDelivered
	}
	return nil
}

// took writes a duration as people read it: "120 ms", "2.5 s".
func took(text string) string {
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return text
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}
