package schema

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// shape is what a decoder and a JSON Schema both say about a type.
type shape struct{ fields, required []string }

func shapeOf[T any](fields []field[T]) shape {
	var s shape
	for _, f := range fields {
		if f.refused != "" {
			continue
		}
		s.fields = append(s.fields, f.name)
		if f.required {
			s.required = append(s.required, f.name)
		}
	}
	slices.Sort(s.fields)
	slices.Sort(s.required)
	return s
}

// tagsOf gives the JSON names of a struct.
func tagsOf[T any]() []string {
	var out []string
	for f := range reflect.TypeFor[T]().Fields() {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// without gives the names that are not refused.
func without[T any](names []string, fields []field[T]) []string {
	return slices.DeleteFunc(names, func(name string) bool {
		f := lookup(fields, name)
		return f != nil && f.refused != ""
	})
}

// The decoder, the types and the JSON Schemas know the same fields and require the same.
func TestSchemaAgreesWithDecoder(t *testing.T) {
	type all struct {
		shape shape
		tags  []string
	}
	want := map[string]all{
		"Metadata":       {shapeOf(metadataFields), tagsOf[Metadata]()},
		"Service":        {shapeOf(serviceFields), tagsOf[Service]()},
		"Route":          {shapeOf(routeFields), tagsOf[Route]()},
		"Backend":        {shapeOf(backendFields), tagsOf[Backend]()},
		"Retry":          {shapeOf(retryFields), tagsOf[Retry]()},
		"Redirect":       {shapeOf(redirectFields), tagsOf[Redirect]()},
		"Rewrite":        {shapeOf(rewriteFields), tagsOf[Rewrite]()},
		"HeaderChange":   {shapeOf(headerChangeFields), tagsOf[HeaderChange]()},
		"GRPC":           {shapeOf(grpcFields), tagsOf[GRPC]()},
		"GRPCMethod":     {shapeOf(grpcMethodFields), tagsOf[GRPCMethod]()},
		"GRPCBackend":    {shapeOf(grpcBackendFields), without(tagsOf[GRPCBackend](), grpcBackendFields)},
		"Stream":         {shapeOf(streamFields), tagsOf[Stream]()},
		"StreamBackend":  {shapeOf(streamBackendFields), without(tagsOf[StreamBackend](), streamBackendFields)},
		"TLS":            {shapeOf(tlsFields), tagsOf[TLS]()},
		"BackendTLS":     {shapeOf(backendTLSFields), tagsOf[BackendTLS]()},
		"CARef":          {shapeOf(caRefFields), tagsOf[CARef]()},
		"SAN":            {shapeOf(sanFields), tagsOf[SAN]()},
		"PortHost":       {shapeOf(portHostFields), tagsOf[PortHost]()},
		"ClientAuth":     {shapeOf(clientAuthFields), tagsOf[ClientAuth]()},
		"Mirror":         {shapeOf(mirrorFields), tagsOf[Mirror]()},
		"MirrorBackend":  {shapeOf(mirrorBackendFields), tagsOf[MirrorBackend]()},
		"CORS":           {shapeOf(corsFields), tagsOf[CORS]()},
		"Patch":          {shapeOf(patchFields), tagsOf[Patch]()},
		"PatchTarget":    {shapeOf(patchTargetFields), tagsOf[PatchTarget]()},
		"PatchOperation": {shapeOf(patchOperationFields), tagsOf[PatchOperation]()},
		"Gateway":        {shapeOf(gatewayFields), tagsOf[Gateway]()},
		"GatewayHost":    {shapeOf(gatewayHostFields), tagsOf[GatewayHost]()},
		"GatewayPort":    {shapeOf(gatewayPortFields), tagsOf[GatewayPort]()},
		"Allow":          {shapeOf(allowFields), tagsOf[Allow]()},
		"Address":        {shapeOf(addressFields), tagsOf[Address]()},
		"Infrastructure": {shapeOf(infrastructureFields), tagsOf[Infrastructure]()},
		"ParametersRef":  {shapeOf(parametersFields), tagsOf[ParametersRef]()},
	}
	defs := definitions(t, "")
	for name := range defs {
		if _, ok := want[name]; !ok && name != KindServiceSpec && name != KindGatewaySpec {
			t.Errorf("the schema has the type %s, this test has not", name)
		}
	}
	for name, w := range want {
		def := defs[name]
		if got := slices.Sorted(maps.Keys(def.Properties)); !slices.Equal(got, w.shape.fields) || !slices.Equal(got, w.tags) {
			t.Errorf("%s: the schema has the fields %v, the decoder %v, the type %v", name, got, w.shape.fields, w.tags)
		}
		slices.Sort(def.Required)
		if !slices.Equal(def.Required, w.shape.required) {
			t.Errorf("%s: the schema requires %v, the decoder %v", name, def.Required, w.shape.required)
		}
	}
}

type definition struct {
	Properties map[string]struct {
		Examples    []any
		Description string
	}
	Required []string
}

func definitions(t *testing.T, kind string) map[string]definition {
	data, err := JSONSchema(kind)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Defs map[string]definition `json:"$defs"`
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	return doc.Defs
}

// Every example of the reference is what it says it is.
func TestExamplesDecode(t *testing.T) {
	decoders := map[string]func(d *decoder, n *Node){
		"Metadata": with(metadataFields), "Service": with(serviceFields), "Route": with(routeFields), "Backend": with(backendFields),
		"Retry": with(retryFields), "Redirect": with(redirectFields), "Rewrite": with(rewriteFields), "HeaderChange": with(headerChangeFields),
		"Mirror": with(mirrorFields), "MirrorBackend": with(mirrorBackendFields), "CORS": with(corsFields),
		"GRPC": with(grpcFields), "GRPCMethod": with(grpcMethodFields), "GRPCBackend": with(grpcBackendFields),
		"Stream": with(streamFields), "StreamBackend": with(streamBackendFields), "TLS": with(tlsFields),
		"BackendTLS": with(backendTLSFields), "CARef": with(caRefFields), "SAN": with(sanFields),
		"PortHost": with(portHostFields), "ClientAuth": with(clientAuthFields),
		"Patch": with(patchFields), "PatchTarget": with(patchTargetFields), "PatchOperation": with(patchOperationFields),
		"Gateway": with(gatewayFields), "GatewayHost": with(gatewayHostFields), "GatewayPort": with(gatewayPortFields),
		"Allow": with(allowFields), "Address": with(addressFields), "Infrastructure": with(infrastructureFields),
		"ParametersRef": with(parametersFields),
	}
	here := func(string) Position { return Position{File: "example", Line: 1, Column: 1} }
	for name, def := range definitions(t, "") {
		for field, property := range def.Properties {
			for _, example := range property.Examples {
				d := &decoder{}
				decoders[name](d, FromValue(map[string]any{field: example}, here))
				for _, e := range d.errs {
					if !strings.Contains(e.Message, "required field is missing") {
						t.Errorf("the example of %s: %v", name, e)
					}
				}
			}
			if name == KindServiceSpec || name == KindGatewaySpec {
				continue
			}
			if property.Description == "" || len(property.Examples) == 0 {
				t.Errorf("%s.%s has no description or no example", name, field)
			}
		}
	}
}

func with[T any](fields []field[T]) func(d *decoder, n *Node) {
	return func(d *decoder, n *Node) {
		var into T
		structure(d, n, &into, fields)
	}
}

func TestJSONSchema(t *testing.T) {
	for _, kind := range []string{"", KindServiceSpec, KindGatewaySpec} {
		data, err := JSONSchema(kind)
		if err != nil || !json.Valid(data) {
			t.Errorf("%q: %v", kind, err)
		}
	}
	_, err := JSONSchema("ServiceSpek")
	if got := fmt.Sprint(err); got != `there is no schema of kind "ServiceSpek"; did you mean "ServiceSpec"?` {
		t.Error(got)
	}
}
