package fields

// couple is an item of each of two lists; -1 where it has no counterpart.
type couple struct{ a, b int }

// maxAligned bounds the work of align: lists whose lengths multiply to more are paired by their places.
const maxAligned = 1 << 14

// align says which items of two lists belong together, in the order of both: so that as much as possible is the same. What stands between
// two couples and has nothing in common is paired by its place.
func align(a, b []any) []couple {
	var out []couple
	doneA, doneB := 0, 0
	for _, p := range append(anchors(a, b), couple{len(a), len(b)}) {
		for doneA < p.a || doneB < p.b {
			next := couple{-1, -1}
			if doneA < p.a {
				next.a = doneA
				doneA++
			}
			if doneB < p.b {
				next.b = doneB
				doneB++
			}
			out = append(out, next)
		}
		if p.a < len(a) && p.b < len(b) {
			out = append(out, p)
		}
		doneA, doneB = p.a+1, p.b+1
	}
	return out
}

// anchors gives the couples that have something in common: those of the common subsequence with the most in common.
func anchors(a, b []any) []couple {
	if len(a)*len(b) > maxAligned {
		return nil
	}
	width := len(b) + 1
	best := make([]int, (len(a)+1)*width) // of a[i:] and b[j:]
	common := make([]int, len(a)*len(b))
	itemsA, itemsB := itemsOf(a), itemsOf(b)
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			n := inCommon(itemsA[i], itemsB[j])
			common[i*len(b)+j] = n
			best[i*width+j] = max(best[(i+1)*width+j], best[i*width+j+1], best[(i+1)*width+j+1]+n)
		}
	}
	var out []couple
	for i, j := 0, 0; i < len(a) && j < len(b); {
		n := common[i*len(b)+j]
		switch {
		case n > 0 && best[i*width+j] == best[(i+1)*width+j+1]+n:
			out = append(out, couple{i, j})
			i, j = i+1, j+1
		case best[i*width+j] == best[(i+1)*width+j]:
			i++
		default:
			j++
		}
	}
	return out
}

// item is an item as it is written, and if it is a map its fields.
type item struct {
	text   string
	fields map[string]string
}

func itemsOf(list []any) []item {
	out := make([]item, len(list))
	for i, v := range list {
		out[i].text = string(appendJSON(v))
		m, _ := v.(map[string]any)
		out[i].fields = make(map[string]string, len(m))
		for key, value := range m {
			out[i].fields[key] = string(appendJSON(value))
		}
	}
	return out
}

// inCommon counts what two items have in common: their fields with the same value. Two that are the same have more in common than any others.
func inCommon(a, b item) int {
	if a.text == b.text {
		return 1 << 10
	}
	n := 0
	for key, text := range a.fields {
		if other, has := b.fields[key]; has && text == other {
			n++
		}
	}
	return n
}
