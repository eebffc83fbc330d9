package envoy

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// message is a generated Envoy message: it knows the constraints written in its proto file.
type message interface {
	proto.Message
	ValidateAll() error
}

var wire = proto.MarshalOptions{Deterministic: true}

// versionBytes of a digest are kept: 96 bits, so that nobody finds two bodies with one version.
const versionBytes = 12

func version(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:versionBytes])
}

func newResource(t Type, name string, body []byte) Resource {
	return Resource{Key: Key{Type: t, Name: name}, Version: version(body), Body: body}
}

// encode checks a message and makes a resource of it.
func encode(t Type, name string, m message) (Resource, error) {
	if err := m.ValidateAll(); err != nil {
		return Resource{}, fmt.Errorf("checking %s resource %s: %w", t, name, err)
	}
	body, err := wire.Marshal(m)
	if err != nil {
		return Resource{}, fmt.Errorf("encoding %s resource %s: %w", t, name, err)
	}
	return newResource(t, name, body), nil
}

// appendMessage appends m as the field num of an enclosing message.
func appendMessage(b []byte, num protowire.Number, m proto.Message) ([]byte, error) {
	size := wire.Size(m)
	b = protowire.AppendTag(b, num, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(size))
	cached := wire
	cached.UseCachedSize = true
	return cached.MarshalAppend(b, m)
}

func appendBytes[T string | []byte](b []byte, num protowire.Number, v T) []byte {
	b = protowire.AppendTag(b, num, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(len(v)))
	return append(b, v...)
}

// mustEncode is for messages that are the same in every run of the program.
func mustEncode(m message) []byte {
	if err := m.ValidateAll(); err != nil {
		panic(err)
	}
	body, err := wire.Marshal(m)
	if err != nil {
		panic(err)
	}
	return body
}

// mustAny is for messages that are the same in every run of the program.
func mustAny(m message) *anypb.Any {
	return &anypb.Any{TypeUrl: "type.googleapis.com/" + string(m.ProtoReflect().Descriptor().FullName()), Value: mustEncode(m)}
}

// plain takes the words out of an error of ValidateAll that say nothing to the reader of a status.
func plain(err error) error {
	return errors.New(strings.ReplaceAll(err.Error(), "embedded message failed validation | caused by: ", ""))
}

// packed wraps a message that depends on the model.
func packed(m message) (*anypb.Any, error) {
	if err := m.ValidateAll(); err != nil {
		return nil, err
	}
	body, err := wire.Marshal(m)
	if err != nil {
		return nil, err
	}
	return &anypb.Any{TypeUrl: "type.googleapis.com/" + string(m.ProtoReflect().Descriptor().FullName()), Value: body}, nil
}
