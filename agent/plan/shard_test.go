package plan

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"headgate.dev/render/object"
)

func many(n int) Inventory {
	var ids []object.ID
	for i := range n {
		ids = append(ids, object.ID{Group: gatewayGroup, Kind: "HTTPRoute", Namespace: fmt.Sprint("team-", i%17), Name: fmt.Sprint("route-", i)})
	}
	return NewInventory(ids)
}

func TestShardsHoldEverything(t *testing.T) {
	for _, n := range []int{0, 1, 50, 5000} {
		for _, limit := range []int{0, 1, 20_000, 10 << 20} {
			v := many(n)
			shards := Shards(v, limit)
			for _, s := range shards {
				if bound := min(max(limit, minShardSize), MaxShardSize); len(s.Data) > bound && limit > 0 || len(s.Data) > MaxShardSize {
					t.Errorf("%d objects, limit %d: shard %s has %d bytes", n, limit, s.Name, len(s.Data))
				}
			}
			slices.Reverse(shards)
			if back, err := Join(shards); err != nil || !back.Equal(v) {
				t.Errorf("%d objects, limit %d: %d came back, %v", n, limit, len(back), err)
			}
		}
	}
}

func TestOneObjectChangesOneShard(t *testing.T) {
	v := many(5000)
	shards := Shards(v, 0)
	random := rand.New(rand.NewPCG(1, 2))
	split := 0
	for i := range 100 {
		next := union(v, Inventory{{Kind: "Service", Namespace: "x", Name: fmt.Sprint(i)}})
		if i%2 == 0 {
			next = v.Without(Inventory{v[random.IntN(len(v))]})
		}
		write, remove := ShardChanges(shards, Shards(next, 0))
		if len(write) != 1 || len(remove) != 0 {
			split++
		}
	}
	if split > 0 {
		t.Errorf("%d of 100 changes touched more than one of %d shards", split, len(shards))
	}
}

// TestGrowingKeepsWhatIsThere holds that what is added without having read everything is there afterwards, beside all that was.
func TestGrowingKeepsWhatIsThere(t *testing.T) {
	v, more := many(200), NewInventory([]object.ID{{Kind: "Service", Namespace: "x", Name: "1"}, {Kind: "Service", Namespace: "x", Name: "2"}})
	have := Shards(v, 1)
	have = append(have, GrowShards(more, 0)...)
	have = append(have, GrowShards(more[:1], 0)...)
	all, err := Join(have)
	if err != nil || !all.Equal(union(v, more)) {
		t.Fatalf("%d objects, %v", len(all), err)
	}
	names := map[string]bool{}
	for _, s := range have {
		if names[s.Name] {
			t.Errorf("%s is there twice", s.Name)
		}
		names[s.Name] = true
	}
	if _, remove := ShardChanges(have, Shards(all, 1)); len(remove) < 2 {
		t.Errorf("only %v is put away", remove)
	}
	if GrowShards(nil, 0) != nil {
		t.Error("nothing grows by something")
	}
}

func TestJoinNamesWhatIsBroken(t *testing.T) {
	good := Shards(many(3), 0)
	v, err := Join([]Shard{{Name: "10", Data: []byte("[[")}, good[0]})
	if err == nil || len(v) != 3 {
		t.Errorf("%d objects, %v", len(v), err)
	}
	for _, data := range []string{``, `{}`, `[["","","",""]]`, `[["a"]]`, `[] []`, `[["","A","","b","c"]]`} {
		if _, err := Join([]Shard{{Data: []byte(data)}}); err == nil {
			t.Errorf("%s is an inventory", data)
		}
	}
}

func FuzzJoin(f *testing.F) {
	f.Add(Shards(many(3), 0)[0].Data)
	f.Add([]byte(`[["","Service","a","b"],["","Service","a","b"]]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := Join([]Shard{{Name: "x", Data: data}})
		if err != nil {
			return
		}
		back, err := Join(Shards(v, 0))
		if err != nil || !back.Equal(v) {
			t.Errorf("%v came back as %v: %v", v, back, err)
		}
	})
}

func BenchmarkShards(b *testing.B) {
	v := many(5000)
	for b.Loop() {
		Shards(v, 0)
	}
}
