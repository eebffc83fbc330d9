package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"headgate.dev/agent"
	agentcontroller "headgate.dev/agent/controller"
	"headgate.dev/agent/plan"
	"headgate.dev/cmd/internal/review"
	"headgate.dev/proxy/controller"
	"headgate.dev/proxy/kube"
	"headgate.dev/render/object"
)

// agentFlags are the flags of `headgate controller` about Syncs.
type agentFlags struct {
	on     bool
	commit int // MiB
	o      agentcontroller.Options
}

func (f *agentFlags) add(flags *pflag.FlagSet) {
	flags.BoolVar(&f.on, "agent", true, "follow Git for every Sync object")
	flags.StringVar(&f.o.Cache, "git-cache", "", "directory to fetch repositories into (default: one in the directory for temporary files)")
	flags.StringVar(&f.o.DefaultAccount, "default-service-account", "", "service account of Syncs that name none (default: they are refused)")
	flags.StringVar(&f.o.Cluster, "cluster-name", "", "name of the cluster in what people are told")
	flags.BoolVar(&f.o.NotifyLocal, "notify-local", false, "let receivers of notices be at addresses of this machine and its link; for tests")
	flags.IntVar(&f.o.Workers, "sync-workers", 0, "how many commits are rendered and applied at the same time (default: twice the number of processors, at least 4)")
	flags.IntVar(&f.commit, "commit-size", 32, "how many MiB of files a commit may have that is rendered for a Sync: what bounds the memory that it takes")
	flags.StringVar(&f.o.HookAddress, "webhook-address", "", "address to take webhooks of Git hosts at, over plain HTTP (default: nowhere)")
	flags.StringSliceVar(&f.o.Only, "sync-namespace", nil, "namespace whose Syncs are followed, may be given several times (default all)")
}

func (f *agentFlags) complete() error {
	if f.o.Workers < 0 {
		return fmt.Errorf("--sync-workers %d: expected a number above 0", f.o.Workers)
	}
	if f.commit < 1 || f.commit > 1024 {
		return fmt.Errorf("--commit-size %d: expected 1 to 1024 MiB", f.commit)
	}
	if !f.on || f.o.Cache != "" {
		return nil
	}
	f.o.Cache = filepath.Join(os.TempDir(), "headgate-git")
	return nil
}

// extend gives what adds the agent to the controller's manager; nil where it is off.
func (f *agentFlags) extend(log *slog.Logger) func(manager.Manager, *controller.Liveness, *controller.Traffic) error {
	if !f.on {
		return nil
	}
	return func(m manager.Manager, l *controller.Liveness, t *controller.Traffic) error {
		if err := os.MkdirAll(f.o.Cache, 0o700); err != nil {
			return errors.Join(errors.New("preparing the directory for repositories (--git-cache)"), err)
		}
		f.o.Log, f.o.Proxies, f.o.Traffic = log.With("part", "agent"), proxies{l}, claims{t}
		f.o.Limits = limits
		f.o.Limits.Bytes = int64(f.commit) << 20
		f.o.Comment = review.Comment
		_, err := agentcontroller.Add(m, f.o)
		return err
	}
}

// proxies lets the agent ask the proxies' half what is live.
type proxies struct{ liveness *controller.Liveness }

// Wait implements agent.Proxies.
func (p proxies) Wait(ctx context.Context, wants []agent.Want) (agent.Reach, error) {
	list := make([]controller.Want, len(wants))
	for i, w := range wants {
		list[i] = controller.Want{
			Group: w.ID.Group, Kind: w.ID.Kind, Name: types.NamespacedName{Namespace: w.ID.Namespace, Name: w.ID.Name},
			UID: types.UID(w.UID), Generation: w.Generation, ResourceVersion: w.ResourceVersion, Removed: w.Removed,
		}
	}
	live, err := p.liveness.Wait(ctx, list)
	var out agent.Reach
	for _, g := range live.Gateways {
		out.Gateways = append(out.Gateways, agent.GatewayReach{
			Namespace: g.Gateway.Namespace, Name: g.Gateway.Name, Envoys: agent.Envoys{Acked: g.Acked, Total: g.Total},
		})
	}
	for _, r := range live.Refused {
		out.Refused = append(out.Refused, agent.Refusal{
			ID:      idOf(r.Object),
			Message: r.Message,
		})
	}
	return out, err
}

func idOf(r kube.Ref) object.ID {
	return object.ID{Group: r.Kind.Group(), Kind: r.Kind.String(), Namespace: r.Name.Namespace, Name: r.Name.Name}
}

// claims lets the agent ask the proxies' half whose traffic an object would take.
type claims struct{ traffic *controller.Traffic }

// Claims implements agent.Traffic.
func (c claims) Claims(ctx context.Context, owner plan.Owner, put []*object.Object) ([]agent.Claim, func(bool), error) {
	contents := make([]map[string]any, len(put))
	for i, o := range put {
		contents[i] = o.Content
	}
	list, done, err := c.traffic.Claims(ctx, owner.Namespace+"/"+owner.Name, contents)
	if err != nil {
		return nil, nil, err
	}
	out := make([]agent.Claim, len(list))
	for i, claim := range list {
		out[i] = agent.Claim{
			ID: idOf(claim.Object), Rule: claim.Rule, Gateway: claim.Gateway.String(), Listener: claim.Listener, Host: claim.Host, Request: claim.Request,
			By: idOf(claim.By), Owner: plan.ReadMark(claim.Labels, nil).Owner,
		}
		if namespace, name, ok := strings.Cut(claim.Writer, "/"); ok {
			out[i].Owner = plan.Owner{Namespace: namespace, Name: name}
		}
	}
	return out, done, nil
}
