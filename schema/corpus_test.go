package schema

import (
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/tools/txtar"
)

// onlyDecoder are parts of messages about what a JSON Schema cannot express: values that are read, and rules between
// values. A document all of whose errors are of these kinds may pass the schema.
var onlyDecoder = []string{
	"is already there", "changed twice", "regular expression", "missing argument", "neither an IP address",
	"missing closing", "invalid character class", "to itself", "every weight is 0", "is not a path", "attach to one gateway twice", "needs ports", "label value", "its method", "its service",
}

// Decoder and JSON Schema take and refuse the same documents, as far as a JSON Schema can say it.
func TestSchemaAndDecoderAgree(t *testing.T) {
	s := readSchema(t)
	taken, refused := 0, 0
	for _, pattern := range []string{"testdata/*.txtar", "../render/expand/testdata/*.txtar", "../render/testdata/*.txtar"} {
		archives, err := filepath.Glob(pattern)
		if err != nil || len(archives) == 0 {
			t.Fatalf("no archives in %s: %v", pattern, err)
		}
		for _, path := range archives {
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range archive.Files {
				documents, _ := Documents(f.Name, f.Data, Limits{})
				for _, doc := range documents {
					if !strings.HasSuffix(f.Name, ".yaml") || !IsSpec(doc.Root) || doc.Root.TextOf("apiVersion") != APIVersion {
						continue
					}
					if s.compare(t, path+":"+f.Name, doc.Root) {
						taken++
					} else {
						refused++
					}
				}
			}
		}
	}
	if taken < 100 || refused < 40 {
		t.Errorf("%d documents taken and %d refused say little", taken, refused)
	}
}

// compare tells whether the decoder takes a document.
func (s *jsonSchema) compare(t *testing.T, name string, root *Node) bool {
	_, errs := Decode(root)
	problem := s.check(s.root, root.Value(), "")
	switch {
	case len(errs) == 0 && problem != "":
		t.Errorf("%s: the decoder takes it, the schema says %s", name, problem)
	case len(errs) > 0 && problem == "":
		for _, e := range errs {
			if !slices.ContainsFunc(onlyDecoder, func(part string) bool { return strings.Contains(e.Message, part) }) {
				t.Errorf("%s: the schema takes it, the decoder says %s", name, e)
			}
		}
	}
	return len(errs) == 0
}

// jsonSchema checks values by the part of JSON Schema (draft 2020-12) that the schemas use. A keyword it does not know
// fails the test.
type jsonSchema struct {
	t        *testing.T
	root     map[string]any
	patterns map[string]*regexp.Regexp
}

func readSchema(t *testing.T) *jsonSchema {
	data, err := JSONSchema("")
	if err != nil {
		t.Fatal(err)
	}
	s := &jsonSchema{t: t, patterns: map[string]*regexp.Regexp{}}
	if err := json.Unmarshal(data, &s.root); err != nil {
		t.Fatal(err)
	}
	return s
}

// check says what is wrong with a value, "" for nothing.
func (s *jsonSchema) check(schema any, v any, at string) string {
	rules, ok := schema.(map[string]any)
	if !ok {
		return ""
	}
	keywords := make([]string, 0, len(rules))
	for keyword := range rules {
		keywords = append(keywords, keyword)
	}
	slices.Sort(keywords)
	for _, keyword := range keywords {
		if problem := s.keyword(keyword, rules, v, at); problem != "" {
			return problem
		}
	}
	return ""
}

func (s *jsonSchema) keyword(keyword string, rules map[string]any, v any, at string) string {
	rule := rules[keyword]
	wrong := func() string { return fmt.Sprintf("%s: %v does not fit %s %v", at, v, keyword, rule) }
	switch keyword {
	case "$schema", "$id", "$defs", "title", "description", "examples", "then", "properties", "propertyNames", "additionalProperties":
		if keyword == "additionalProperties" || keyword == "properties" && rules["additionalProperties"] == nil {
			return s.properties(rules, v, at)
		}
		if keyword == "propertyNames" {
			return s.names(rule, v, at)
		}
		return ""
	case "$ref":
		name := strings.TrimPrefix(rule.(string), "#/$defs/")
		return s.check(s.root["$defs"].(map[string]any)[name], v, at)
	case "type":
		if !isType(rule.(string), v) {
			return wrong()
		}
	case "const":
		if !reflect.DeepEqual(rule, plain(v)) {
			return wrong()
		}
	case "enum":
		if !slices.ContainsFunc(rule.([]any), func(r any) bool { return reflect.DeepEqual(r, plain(v)) }) {
			return wrong()
		}
	case "anyOf":
		for _, choice := range rule.([]any) {
			if s.check(choice, v, at) == "" {
				return ""
			}
		}
		return wrong()
	case "allOf":
		for _, part := range rule.([]any) {
			if problem := s.check(part, v, at); problem != "" {
				return problem
			}
		}
	case "not":
		if s.check(rule, v, at) == "" {
			return wrong()
		}
	case "if":
		if s.check(rule, v, at) == "" {
			return s.check(rules["then"], v, at)
		}
	case "items":
		list, _ := v.([]any)
		for i, item := range list {
			if problem := s.check(rule, item, fmt.Sprintf("%s[%d]", at, i)); problem != "" {
				return problem
			}
		}
	case "required":
		if m, ok := v.(map[string]any); ok {
			for _, name := range rule.([]any) {
				if _, there := m[name.(string)]; !there {
					return wrong()
				}
			}
		}
	default:
		return s.bound(keyword, rule, v, wrong)
	}
	return ""
}

// bound checks what is about sizes and patterns.
func (s *jsonSchema) bound(keyword string, rule, v any, wrong func() string) string {
	size := math.NaN() // fits every bound
	switch v := v.(type) {
	case string:
		if keyword == "pattern" {
			p := s.patterns[rule.(string)]
			if p == nil {
				p = regexp.MustCompile(rule.(string))
				s.patterns[rule.(string)] = p
			}
			if !p.MatchString(v) {
				return wrong()
			}
			return ""
		}
		if strings.HasSuffix(keyword, "Length") {
			size = float64(utf8.RuneCountInString(v))
		}
	case []any:
		if strings.HasSuffix(keyword, "Items") {
			size = float64(len(v))
		}
	case map[string]any:
		if strings.HasSuffix(keyword, "Properties") {
			size = float64(len(v))
		}
	case int64:
		if strings.HasSuffix(keyword, "imum") {
			size = float64(v)
		}
	}
	switch keyword {
	case "minLength", "minItems", "minProperties", "minimum":
		if size < rule.(float64) {
			return wrong()
		}
	case "maxLength", "maxItems", "maxProperties", "maximum":
		if size > rule.(float64) {
			return wrong()
		}
	case "pattern":
	default:
		s.t.Fatalf("the schema has the keyword %s, this test does not know it", keyword)
	}
	return ""
}

func (s *jsonSchema) properties(rules map[string]any, v any, at string) string {
	m, ok := v.(map[string]any)
	if !ok {
		return ""
	}
	known, _ := rules["properties"].(map[string]any)
	for name, value := range m {
		rule, there := known[name]
		if !there {
			if rule = rules["additionalProperties"]; rule == false {
				return at + ": unknown field " + name
			}
		}
		if problem := s.check(rule, value, at+"."+name); problem != "" {
			return problem
		}
	}
	return ""
}

func (s *jsonSchema) names(rule, v any, at string) string {
	m, _ := v.(map[string]any)
	for name := range m {
		if problem := s.check(rule, name, at+"."+name); problem != "" {
			return problem
		}
	}
	return ""
}

func isType(name string, v any) bool {
	switch v := v.(type) {
	case string:
		return name == "string"
	case bool:
		return name == "boolean"
	case int64:
		return name == "integer" || name == "number"
	case float64:
		return name == "number" || name == "integer" && v == math.Trunc(v)
	case []any:
		return name == "array"
	case map[string]any:
		return name == "object"
	}
	return name == "null"
}

// plain is a value as encoding/json would give it.
func plain(v any) any {
	if i, ok := v.(int64); ok {
		return float64(i)
	}
	return v
}
