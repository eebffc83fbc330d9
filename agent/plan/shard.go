package plan

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"headgate.dev/render/object"
)

// Shard is a part of an inventory, small enough to be one object of Kubernetes.
//
// Objects are placed by the digest of their ID: a shard has all whose digest begins with its bits, and is split in two where it would become
// too large. So which shard an object is in hangs on nothing but the inventory, and one object more or less changes one shard, or splits
// or joins two.
type Shard struct {
	// Name is "all", or the bits ("0", "10") as digits.
	Name string
	// Data are its bytes, the same for the same objects.
	Data []byte
}

// maxBits bounds the depth of the tree: deeper, the digests are the same and a shard is as large as it is.
const maxBits = 64

const wholeName = "all"

// Shards cuts an inventory into shards of at most limit bytes, sorted by name. Zero means ShardSize; the limit is brought between 4 kiB and
// MaxShardSize. An empty inventory is one shard with nothing in it: an inventory that is not there at all is another thing.
func Shards(v Inventory, limit int) []Shard {
	if limit == 0 {
		limit = ShardSize
	}
	limit = min(max(limit, minShardSize), MaxShardSize)
	places := make([]place, len(v))
	for i, id := range v {
		places[i] = place{id: id, digest: sha256.Sum256(appendItem(nil, id)), size: itemSize(id)}
	}
	var out []Shard
	cut(places, "", limit, &out)
	slices.SortFunc(out, func(a, b Shard) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// place is an object with what decides its shard.
type place struct {
	id     object.ID
	digest [sha256.Size]byte
	size   int
}

// bit gives the i-th bit of the digest.
func (p place) bit(i int) byte { return p.digest[i/8] >> (7 - i%8) & 1 }

// cut adds the shards of what begins with the bits.
func cut(places []place, bits string, limit int, out *[]Shard) {
	size := len("[\n]\n")
	for _, p := range places {
		size += p.size
	}
	if size <= limit || len(bits) == maxBits {
		ids := make(Inventory, len(places))
		for i, p := range places {
			ids[i] = p.id
		}
		name := bits
		if name == "" {
			name = wholeName
		}
		*out = append(*out, Shard{Name: name, Data: encode(NewInventory(ids))})
		return
	}
	var halves [2][]place
	for _, p := range places {
		b := p.bit(len(bits))
		halves[b] = append(halves[b], p)
	}
	cut(halves[0], bits+"0", limit, out)
	cut(halves[1], bits+"1", limit, out)
}

// Join reads an inventory out of its shards, in any order. Shards that overlap, as a crash between two writes leaves them, count together. The
// error names the shard that is not readable; the inventory then holds what was readable and is partial (State.Partial).
func Join(shards []Shard) (Inventory, error) {
	var ids []object.ID
	var broken error
	for _, s := range shards {
		part, err := decode(s.Data)
		if err != nil && broken == nil {
			broken = fmt.Errorf("reading inventory %s: %w", s.Name, err)
		}
		ids = append(ids, part...)
	}
	return NewInventory(ids), broken
}

// GrowShards gives shards that add objects to an inventory of which not everything could be read. Their names are digests of what is in them, so they
// replace nothing; with the next inventory that is read as a whole, ShardChanges puts them where they belong.
func GrowShards(more Inventory, limit int) []Shard {
	if len(more) == 0 {
		return nil
	}
	out := Shards(more, limit)
	for i, s := range out {
		sum := sha256.Sum256(s.Data)
		out[i].Name = fmt.Sprintf("more-%x", sum[:8])
	}
	slices.SortFunc(out, func(a, b Shard) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// ShardChanges says how to come from the shards that are there to others: first all of write, in any order, then all of remove. Wherever that
// ends, the shards still hold together what both have in common. It is for shards that were all read; GrowShards is for others.
func ShardChanges(have, want []Shard) (write []Shard, remove []string) {
	there := make(map[string][]byte, len(have))
	for _, s := range have {
		there[s.Name] = s.Data
	}
	for _, s := range want {
		data, ok := there[s.Name]
		if !ok || string(data) != string(s.Data) {
			write = append(write, s)
		}
		delete(there, s.Name)
	}
	for _, s := range have {
		if _, left := there[s.Name]; left {
			remove = append(remove, s.Name)
			delete(there, s.Name)
		}
	}
	slices.Sort(remove)
	return write, remove
}
