package controller

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"strings"

	"headgate.dev/agent"
	"headgate.dev/agent/forge"
	"headgate.dev/agent/git"
	"headgate.dev/agent/plan"
	"headgate.dev/schema"
)

// Forge gives a client for the API of a Sync's Git host, with what the Sync's account may read of credentials, and the repository's path there.
// Each call makes a new client: keep it as long as Sync and Secret are the same.
func (a *Agent) Forge(ctx context.Context, s *schema.Sync) (*forge.Client, string, error) {
	f := s.Spec.Forge
	if f == nil || f.Kind == schema.ForgeGeneric {
		return nil, "", fmt.Errorf("spec.forge names no host with an API")
	}
	reader, err := a.reader(s)
	if err != nil {
		return nil, "", err
	}
	ref, field := s.Spec.SecretRef, "secretRef"
	if f.SecretRef != nil {
		ref, field = f.SecretRef, "forge.secretRef"
	}
	if ref == nil {
		return nil, "", fmt.Errorf("there is no token: name a Secret with one in spec.forge.secretRef")
	}
	data, err := reader.Secret(ctx, s.Namespace, ref.Name)
	if err != nil {
		return nil, "", fmt.Errorf("%s: reading Secret %s: %w", field, ref.Name, err)
	}
	cfg, err := forgeConfig(s, data)
	if err != nil {
		return nil, "", fmt.Errorf("%s: Secret %s: %w", field, ref.Name, err)
	}
	if s.Spec.Proxy != nil {
		src, err := agent.ReadSource(ctx, s, reader)
		if err != nil {
			return nil, "", err
		}
		if cfg.Proxy, err = src.Proxy.Parse(); err != nil {
			return nil, "", err
		}
	}
	client, err := forge.New(cfg)
	if err != nil {
		return nil, "", err
	}
	repository, err := client.Repository(s.Spec.URL)
	return client, repository, err
}

// reader is the cluster as the Sync's account sees it.
func (a *Agent) reader(s *schema.Sync) (agent.Reader, error) {
	name := cmp.Or(s.Spec.ServiceAccountName, a.options.DefaultAccount)
	if name == "" {
		return nil, fmt.Errorf("spec.serviceAccountName is missing, and the controller has no default")
	}
	return a.world.Account(ownerOf(s), name)
}

// forgeConfig says how to reach the host of a Sync with the data of a Secret.
func forgeConfig(s *schema.Sync, data map[string][]byte) (forge.Config, error) {
	cfg := forge.Config{Kind: forge.Kind(s.Spec.Forge.Kind), URL: s.Spec.Forge.URL, CA: data["ca.crt"]}
	if cfg.URL == "" {
		var err error
		if cfg.URL, err = hostOf(s.Spec.URL); err != nil {
			return cfg, err
		}
	}
	auth, err := git.AuthFromSecret(cfg.URL+"/-", data)
	if err != nil {
		return cfg, err
	}
	if auth.App != nil {
		app, err := forge.NewApp(cfg, forge.AppKey(*auth.App))
		if err != nil {
			return cfg, err
		}
		cfg.Token = app.Token
		return cfg, nil
	}
	token := cmp.Or(strings.TrimSpace(string(data["token"])), auth.BearerToken, auth.Password)
	if token == "" {
		return cfg, fmt.Errorf("there is no token in it: put one there as token")
	}
	cfg.Token = func(context.Context, string) (string, error) { return token, nil }
	return cfg, nil
}

// appTokens is git.Options.App.
func appTokens(src git.Source) (func(context.Context, string) (string, error), error) {
	host, err := hostOf(src.URL)
	if err != nil {
		return nil, err
	}
	proxy, err := src.Proxy.Parse()
	if err != nil {
		return nil, err
	}
	app, err := forge.NewApp(forge.Config{URL: host, CA: src.Auth.CA, Proxy: proxy}, forge.AppKey(*src.Auth.App))
	if err != nil {
		return nil, err
	}
	return app.Token, nil
}

// ownerOf is how a Sync is called as the owner of objects.
func ownerOf(s *schema.Sync) plan.Owner { return plan.Owner{Namespace: s.Namespace, Name: s.Name} }

// hostOf is where people find the host of a repository, if it is the usual place.
func hostOf(repository string) (string, error) {
	if !strings.Contains(repository, "://") { // user@host:path
		_, rest, _ := strings.Cut(repository, "@")
		host, _, _ := strings.Cut(rest, ":")
		return "https://" + host, nil
	}
	u, err := url.Parse(repository)
	if err != nil || u.Hostname() == "" {
		return "", fmt.Errorf("spec.url does not say which host it is: name it in spec.forge.url")
	}
	if u.Scheme == "ssh" {
		return "https://" + u.Hostname(), nil
	}
	return u.Scheme + "://" + u.Host, nil
}
