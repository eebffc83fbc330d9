package plan

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"headgate.dev/render/object"
)

// Inventory is a set of objects, sorted by ID, each once. The nil Inventory is empty.
type Inventory []object.ID

// NewInventory sorts IDs and takes out what is there twice. The argument stays as it is.
func NewInventory(ids []object.ID) Inventory {
	out := slices.Clone(ids)
	slices.SortFunc(out, object.Compare)
	return slices.Compact(out)
}

// Has tells whether an object is in the inventory.
func (v Inventory) Has(id object.ID) bool {
	_, found := slices.BinarySearchFunc(v, id, object.Compare)
	return found
}

// Equal tells whether two inventories hold the same objects.
func (v Inventory) Equal(w Inventory) bool { return slices.Equal(v, w) }

// Without gives what is in v and not in w.
func (v Inventory) Without(w Inventory) Inventory { return subtract(v, w) }

// union gives what is in one of two inventories.
func union(a, b Inventory) Inventory {
	out := make(Inventory, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		switch c := object.Compare(a[0], b[0]); {
		case c < 0:
			out, a = append(out, a[0]), a[1:]
		case c > 0:
			out, b = append(out, b[0]), b[1:]
		default:
			out, a, b = append(out, a[0]), a[1:], b[1:]
		}
	}
	return append(append(out, a...), b...)
}

// subtract gives what is in a and not in b.
func subtract(a, b Inventory) Inventory {
	var out Inventory
	for _, id := range a {
		for len(b) > 0 && object.Compare(b[0], id) < 0 {
			b = b[1:]
		}
		if len(b) == 0 || b[0] != id {
			out = append(out, id)
		}
	}
	return out
}

// The size of a shard.
const (
	// ShardSize is the size that a shard may have unless another one is asked for: small enough that a change of one object costs little,
	// large enough that usual inventories are one shard.
	ShardSize = 64 << 10
	// MaxShardSize is the most that may be asked for; an object of Kubernetes may have 1 MiB, with everything around.
	MaxShardSize = 900_000
	// minShardSize holds the largest ID there can be.
	minShardSize = 4 << 10
)

// encode gives the canonical bytes of a shard: a list of lists of group, kind, namespace and name, sorted, an object a line.
func encode(ids Inventory) []byte {
	out := []byte("[")
	for i, id := range ids {
		if i > 0 {
			out = append(out, ',')
		}
		out = appendItem(append(out, '\n'), id)
	}
	return append(out, "\n]\n"...)
}

func appendItem(buf []byte, id object.ID) []byte {
	return object.AppendJSON(buf, []any{id.Group, id.Kind, id.Namespace, id.Name})
}

// itemSize is what an object adds to a shard, in bytes.
func itemSize(id object.ID) int {
	var space [512]byte
	return len(appendItem(space[:0], id)) + len(",\n")
}

// decode reads what encode wrote.
func decode(data []byte) (Inventory, error) {
	if len(data) > MaxShardSize {
		return nil, fmt.Errorf("%d bytes are more than the limit of %d", len(data), MaxShardSize)
	}
	var items [][]string
	decoder := json.NewDecoder(bytes.NewReader(data))
	if err := decoder.Decode(&items); err != nil {
		return nil, err
	}
	if decoder.More() {
		return nil, errors.New("there is something behind the list")
	}
	out := make(Inventory, 0, len(items))
	for i, item := range items {
		if len(item) != 4 || item[1] == "" || item[3] == "" {
			return nil, fmt.Errorf("item %d does not name an object", i)
		}
		out = append(out, object.ID{Group: item[0], Kind: item[1], Namespace: item[2], Name: item[3]})
	}
	return NewInventory(out), nil
}
