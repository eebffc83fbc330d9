package object

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"
)

// AppendJSON appends the canonical JSON of a JSON value: sorted keys, no spaces, nothing escaped that need not be.
// A float with no fraction is written like the integer, so that a number's digest does not hang on who decoded it.
// It panics on a value that is none of JSON's: that is a mistake in the program, never in the input.
func AppendJSON(buf []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(buf, "null"...)
	case bool:
		return strconv.AppendBool(buf, v)
	case string:
		return appendString(buf, v)
	case int64:
		return strconv.AppendInt(buf, v, 10)
	case float64:
		return appendFloat(buf, v)
	case []any:
		buf = append(buf, '[')
		for i, item := range v {
			if i > 0 {
				buf = append(buf, ',')
			}
			buf = AppendJSON(buf, item)
		}
		return append(buf, ']')
	case map[string]any:
		return appendMap(buf, v)
	default:
		panic(fmt.Sprintf("object: %T is no JSON value", v))
	}
}

func appendMap(buf []byte, m map[string]any) []byte {
	var space [16]string
	keys := space[:0]
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	buf = append(buf, '{')
	for i, key := range keys {
		if i > 0 {
			buf = append(buf, ',')
		}
		buf = append(appendString(buf, key), ':')
		buf = AppendJSON(buf, m[key])
	}
	return append(buf, '}')
}

// appendFloat writes what encoding/json would, and integers as such as long as a float holds them exactly.
func appendFloat(buf []byte, f float64) []byte {
	if f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		return strconv.AppendInt(buf, int64(f), 10)
	}
	text, err := json.Marshal(f)
	if err != nil { // NaN and infinities, which no decoder of ours lets through
		panic("object: " + err.Error())
	}
	return append(buf, text...)
}

func appendString(buf []byte, s string) []byte {
	const hexDigits = "0123456789abcdef"
	buf = append(buf, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				buf = append(append(buf, s[start:i]...), "\ufffd"...)
				start = i + 1
			}
			i += size
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' {
			i++
			continue
		}
		buf = append(buf, s[start:i]...)
		switch c {
		case '"', '\\':
			buf = append(buf, '\\', c)
		case '\n':
			buf = append(buf, '\\', 'n')
		default:
			buf = append(buf, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		start = i
	}
	return append(append(buf, s[start:]...), '"')
}

// Clone copies a JSON value, so that the copy may be written to.
func Clone(v any) any {
	switch v := v.(type) {
	case map[string]any:
		return CloneMap(v)
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = Clone(item)
		}
		return out
	default:
		return v
	}
}

// CloneMap is Clone for a map; it keeps nil.
func CloneMap(m map[string]any) map[string]any {
	if m == nil {
		return nil
	}
	out := make(map[string]any, len(m))
	for key, value := range m {
		out[key] = Clone(value)
	}
	return out
}
