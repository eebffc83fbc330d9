package notify

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestTemplates(t *testing.T) {
	n := Notice{Event: Drift, Phase: Opened, Severity: Warning, Sync: "team-a/shop", Title: "<!channel> & co", Lines: []string{"one", "two"}, Opened: start, At: start}
	for template, want := range map[string]string{
		"":                              "[drift] <!channel> & co · opened 03:00:00\none\ntwo",
		"{{upper .Severity}} {{.Sync}}": "WARNING team-a/shop",
		`{{range .Lines}}- {{.}}
{{end}}`: "- one\n- two\n",
		`{{join ", " .Lines}}{{if eq .Phase "opened"}}!{{end}}`:                    "one, two!",
		`{{range $i, $l := .Lines}}{{if $i}}, {{end}}{{$l}}{{else}}nothing{{end}}`: "one, two",
	} {
		if template != "" {
			if err := CheckTemplate(template); err != nil {
				t.Errorf("%s: %v", template, err)
			}
		}
		if got, err := text(&Receiver{Template: template}, &n); err != nil || got != want {
			t.Errorf("%s: %q, %v", template, got, err)
		}
	}
	for template, want := range map[string]string{
		"{{.Title": "reading the template", "{{.Password}}": "filling in", `{{printf "%999999999d" 1}}`: "no function printf", "{{range 999999999}}x{{end}}": "range is over a field",
		`{{range .Lines}}{{range $.Lines}}{{range $.Lines}}x{{end}}{{end}}{{end}}`: "range is over a field", `{{define "a"}}{{template "a"}}{{end}}{{template "a"}}`: "define",
		`{{template "text"}}`: "template is not for it", `{{call .Title}}`: "no function call", `{{if (printf "x")}}{{end}}`: "no function printf",
		`{{block "a" .}}{{end}}`: "define", `{{with 1}}{{html "x"}}{{end}}`: "no function html",
		strings.Repeat("x", maxText+1): "longer than",
	} {
		if err := CheckTemplate(template); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: %v, want %s", template, err, want)
		}
	}
}

// TestEscapes holds that what others wrote into names and values is only text, for each receiver.
func TestEscapes(t *testing.T) {
	nasty := "<!channel> <http://evil|click> \"},{\"x\":\" \r\nCe-Type: evil \x00 %0a *bold*"
	n := Notice{Key: "k", Event: Drift, Phase: Opened, Severity: Warning, Cluster: nasty, Sync: nasty, Kind: nasty, Object: nasty, Title: nasty, Lines: []string{nasty}, Opened: start, At: start}
	body, err := slackMessage(&Receiver{}, &n)
	if err != nil || strings.ContainsAny(string(body), "<>") || strings.Contains(string(body), `\u003c`) {
		t.Errorf("Slack: %s, %v", body, err)
	}
	var message map[string]any
	if err := json.Unmarshal(body, &message); err != nil || len(message) != 4 || !strings.HasPrefix(message["text"].(string), "&lt;!channel&gt;") {
		t.Errorf("Slack: %v, %v", message, err)
	}
	body, header, err := cloudEvent(&Receiver{}, &n)
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		if strings.ContainsAny(values[0], "\r\n\x00 \"") {
			t.Errorf("%s: %q", name, values)
		}
	}
	if header["Ce-Type"][0] != "dev.headgate.drift.opened" {
		t.Error(header)
	}
	var data eventData
	if err := json.Unmarshal(body, &data); err != nil || data.Title != nasty {
		t.Errorf("%s, %v", body, err)
	}
}

func FuzzTemplate(f *testing.F) {
	for _, seed := range []string{"{{.Title}}", "{{range .Lines}}{{.}}{{end}}", "{{if and (eq .Phase \"opened\") .Kind}}x{{else}}y{{end}}", "{{index .Lines 0}}", "{{$x := .Title}}{{$x}}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, template string) {
		if len(template) > 4096 || CheckTemplate(template) != nil {
			return
		}
		if got, err := text(&Receiver{Template: template}, &Notice{Title: "t", Lines: []string{"a", "b"}}); err == nil && len(got) > maxText {
			t.Errorf("%d bytes", len(got))
		}
	})
}
