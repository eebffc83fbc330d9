package xds_test

import (
	"context"
	"errors"

	"google.golang.org/grpc/metadata"

	"headgate.dev/proxy/xds"
)

// The fake proxies carry their identity in a header, as a certificate would.
func withIdentity(ctx context.Context, id xds.Identity) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "fleet", id.Fleet, "proxy", id.Proxy)
}

func identityOf(ctx context.Context) (xds.Identity, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	fleet, proxy := md.Get("fleet"), md.Get("proxy")
	if len(fleet) != 1 || len(proxy) != 1 {
		return xds.Identity{}, errors.New("no identity in the headers")
	}
	return xds.Identity{Fleet: fleet[0], Proxy: proxy[0]}, nil
}
