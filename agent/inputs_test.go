package agent

import (
	"errors"
	"testing"
)

func TestDefaultGateway(t *testing.T) {
	all := []DefaultGateway{
		{Namespace: "infra", Name: "public", For: "*"},
		{Namespace: "infra", Name: "teams", For: "team-a, team-b"},
		{Namespace: "infra", Name: "other", For: "team-b"},
	}
	for namespace, want := range map[string]string{
		"team-a": "infra/teams", "team-c": "infra/public",
		"team-b": "Gateways infra/other and infra/teams all say headgate.dev/default-for namespace team-b: let one of them say it, or name one in spec.gateway",
	} {
		got, err := defaultGateway(all, namespace)
		var p *Problem
		if errors.As(err, &p) {
			got = p.Message
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", namespace, got, want)
		}
	}
	if got, err := defaultGateway(nil, "team-a"); got != "" || err != nil {
		t.Errorf("without any: %s, %v", got, err)
	}
}
