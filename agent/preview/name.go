package preview

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
)

// maxLabel is the longest label of a DNS name (RFC 1035, 2.3.4), maxName the longest name of an object.
const (
	maxLabel = 63
	maxName  = 253
	// maxSlug leaves room beside it in a label.
	maxSlug = 40
)

// Slug makes a label of any text: lower case, everything else a "-". Different texts may give the same one (Slugs). What is too long, or has nothing that
// a label can hold, ends in a digest of the text.
func Slug(text string) string {
	var out []byte
	for _, r := range strings.ToLower(text) {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			out = append(out, byte(r))
		case len(out) > 0 && out[len(out)-1] != '-':
			out = append(out, '-')
		}
	}
	slug := strings.Trim(string(out), "-")
	if slug == "" {
		return "b-" + short(text)
	}
	if len(slug) > maxSlug {
		return distinct(slug[:maxSlug], text, maxSlug)
	}
	return slug
}

// Slugs gives each of several texts a label that no other one has: their Slug, with a digest behind it where two have the same. The text that is its
// own slug keeps it.
func Slugs(texts []string) map[string]string {
	sorted := slices.Clone(texts)
	slices.Sort(sorted)
	sorted = slices.Compact(sorted)
	count := map[string]int{}
	for _, text := range sorted {
		count[Slug(text)]++
	}
	out := make(map[string]string, len(sorted))
	for _, text := range sorted {
		slug := Slug(text)
		if count[slug] > 1 && slug != text {
			slug = distinct(slug, text, maxSlug)
		}
		out[text] = slug
	}
	return out
}

// distinct gives a label of at most limit bytes that begins as text does and ends in a digest of what it stands for.
func distinct(text, of string, limit int) string {
	end := "-" + short(of)
	return strings.TrimRight(text[:min(len(text), limit-len(end))], "-.") + end
}

func short(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:4])
}

// NamespaceName is the namespace of a preview: preview-SYNC-N, N its number or slug.
func NamespaceName(sync, n string) string {
	name := "preview-" + sync + "-" + n
	if name = strings.ReplaceAll(name, ".", "-"); len(name) > maxLabel {
		return distinct(name, name, maxLabel)
	}
	return name
}

// routeName is the name of the preview's route for a route: it has a dot in it, as specs have no name.
func (r *Rules) routeName(name, suffix string) string {
	end := ".preview-" + r.Sync + "-" + r.Name + suffix
	if len(name)+len(end) > maxName {
		name = distinct(name, name, maxName-len(end))
	}
	return name + end
}

// label makes the label of a service's host. What is too long is cut in the service's name, which the digest tells apart.
func (r *Rules) label(service, namespace string) (string, error) {
	pattern := r.Host
	if pattern == "" {
		pattern = DefaultHost
	}
	values := map[string]string{"Service": dashed(service), "Name": r.Name, "Namespace": namespace, "Sync": dashed(r.Sync)}
	text, err := fill(pattern, values)
	if err != nil || len(text) <= maxLabel {
		return text, err
	}
	values["Service"] = ""
	rest, err := fill(pattern, values)
	if room := maxLabel - len(rest); err == nil && room >= 10 {
		values["Service"] = distinct(dashed(service), service, room)
		return fill(pattern, values)
	}
	return distinct(text, text, maxLabel), err
}

func dashed(name string) string { return strings.ReplaceAll(name, ".", "-") }

func isLabel(text string) bool {
	return text != "" && len(text) <= maxLabel && text[0] != '-' && text[len(text)-1] != '-' &&
		!strings.ContainsFunc(text, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' })
}
