package envoy

import (
	_ "embed"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/wrapperspb"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	luav3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/lua/v3"

	"headgate.dev/proxy/model"
)

const (
	// scopeHeader carries "TABLE/AUTHORITY" from the connection manager to the choice of the scope. Whatever a client
	// sends in it is overwritten, and no backend sees it.
	scopeHeader = "x-hg-scope"
	// scopeFilter is the Lua filter that looks for the scope again where the key as the client wrote it has none.
	scopeFilter = "hg.scope"
	// bareFilter is the Lua filter that takes the port from the request's authority on the routes that ask for it: a
	// redirect of a wildcard host keeps the request's host, and Envoy would keep its port with it.
	bareFilter = "hg.bare"
	anyHost    = "*"
)

var (
	//go:embed scope.lua
	scopeLua string
	//go:embed bare.lua
	bareLua string
)

// The scripts clear the route cache themselves where they must. They have no globals, so that all connection managers and
// all routes can share one interpreter for each.
var (
	scopeFilterConfig = mustAny(&luav3.Lua{
		DefaultSourceCode: inline(scopeLua),
		ClearRouteCache:   wrapperspb.Bool(false),
		SharedVmId:        scopeFilter,
	})
	bareFilterConfig = mustAny(&luav3.Lua{ClearRouteCache: wrapperspb.Bool(false)}) // no script but the routes'
	bareHost         = mustAny(&luav3.LuaPerRoute{
		Override:   &luav3.LuaPerRoute_SourceCode{SourceCode: inline(bareLua)},
		SharedVmId: bareFilter,
	})
)

func inline(text string) *corev3.DataSource {
	return &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: text}}
}

// scopeName names the scope of a host and the RouteConfiguration in it. It is also the scope's key. No host has a "/",
// and Envoy refuses requests whose authority has one, so that a client cannot reach into another table.
func scopeName(table model.TableID, host string) string { return string(table) + "/" + host }

// scope makes the scope of a host: its key, and its RouteConfiguration of the same name.
func scope(name string) Resource {
	fragment := appendBytes(nil, fieldFragmentString, name)
	key := appendBytes(make([]byte, 0, len(fragment)+8), fieldKeyFragments, fragment)
	body := make([]byte, 0, 4*len(name))
	body = appendBytes(body, fieldScopeName, name)
	body = appendBytes(body, fieldScopeRoutes, name)
	body = appendBytes(body, fieldScopeKey, key)
	return newResource(ScopeType, name, body)
}

// Field numbers of envoy.config.route.v3.ScopedRouteConfiguration, of its Key and of the Key's Fragment: a scope is three
// strings, encoded here without the message in between.
const (
	fieldScopeName      protowire.Number = 1
	fieldScopeRoutes    protowire.Number = 2
	fieldScopeKey       protowire.Number = 3
	fieldKeyFragments   protowire.Number = 1
	fieldFragmentString protowire.Number = 1
)
