package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"headgate.dev/cmd/internal/local"
	"headgate.dev/cmd/internal/term"
	"headgate.dev/render"
	"headgate.dev/render/object"
	"headgate.dev/schema"
)

func validateCommand(s streams) *cobra.Command {
	var f treeFlags
	output := "text"
	c := &cobra.Command{
		Use:   "validate [DIR]...",
		Short: "Say what is wrong with a directory",
		Long: `Render a directory (default: the current one) and list everything that is wrong with it, all errors of all
files at once, each with file, line, column and field. Where nothing is, look at the routing that it stands for: two
services that claim the same host and path are an error where nothing but their age or name decides, and a warning
where one is more specific; there are warnings for what is never answered or not served. Several directories are
looked at as one cluster would see them. Exit code 0: nothing is wrong, but for warnings; 1: something is.

--output github writes annotations for a workflow on GitHub, --output json an object with "errors" and "warnings".`,
		Example: `  headgate validate
  headgate validate deploy/prod --output github
  headgate validate platform team-a team-b`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := oneOf("output", output, "text", "json", "github"); err != nil {
				return err
			}
			endsSoon()
			result, errs, err := f.validate(cmd.Context(), args)
			if err != nil {
				return err
			}
			if err := report(s, output, result, errs); err != nil {
				return err
			}
			if len(errs) > 0 {
				return fmt.Errorf("%w: %w", errSaid, errs)
			}
			return nil
		},
	}
	f.add(c)
	c.Flags().StringVarP(&output, "output", "o", output, "text, json or github")
	mustComplete(c, "output", "text", "json", "github")
	return c
}

// validate renders directories and, where nothing is wrong with that, looks at what they stand for together. errs is what is
// wrong with the input, err anything else.
func (f *treeFlags) validate(ctx context.Context, dirs []string) (all render.Result, errs schema.Errors, err error) {
	if len(dirs) == 0 {
		dirs = []string{"."}
	}
	roots, err := rootsOf(dirs)
	if err != nil {
		return all, nil, err
	}
	var objects []*object.Object
	for i, dir := range dirs {
		if slices.Contains(dirs[:i], dir) {
			continue
		}
		result, err := f.render(ctx, []string{dir})
		var wrong schema.Errors
		if err != nil && !errors.As(err, &wrong) {
			return all, nil, err
		}
		warnings := slices.Concat(result.Warnings, result.Ungranted)
		if roots == nil {
			objects = slices.AppendSeq(objects, result.Set.All())
		} else {
			wrong, warnings = object.ErrorsUnder(roots[i], wrong), object.ErrorsUnder(roots[i], warnings)
			for o := range result.Set.All() {
				objects = append(objects, o.Under(roots[i]))
			}
		}
		errs, all.Warnings = append(errs, wrong...), append(all.Warnings, warnings...)
	}
	var twice schema.Errors
	all.Set, twice = (&object.Set{}).Replace(objects, nil)
	if errs = append(errs, twice...); len(errs) > 0 {
		return all, errs, nil
	}
	stack, err := detached(ctx, all.Set, local.Options{})
	if errors.As(err, &errs) {
		return all, errs, nil
	}
	if err != nil {
		return all, nil, err
	}
	errs, warnings := stack.Findings()
	all.Warnings = append(all.Warnings, warnings...).Sort()
	return all, errs, stack.Close()
}

// rootsOf gives for each directory what its files are named relative to, as seen from here; nil when that is the same for all.
func rootsOf(dirs []string) (roots []string, err error) {
	here, err := filepath.Abs(".")
	if err != nil {
		return nil, fmt.Errorf("finding the current directory: %w", err)
	}
	for _, dir := range dirs {
		if err := checkDirectory(dir); err != nil {
			return nil, err
		}
		source, err := openLocal(dir, "")
		if err != nil {
			return nil, err
		}
		root, err := filepath.Rel(here, source.String())
		if err != nil {
			root = source.String()
		}
		roots = append(roots, filepath.ToSlash(root))
		if err := source.Close(); err != nil {
			return nil, err
		}
	}
	if slices.Equal(roots, slices.Repeat(roots[:1], len(roots))) {
		return nil, nil
	}
	return roots, nil
}

func report(s streams, output string, r render.Result, errs schema.Errors) error {
	switch output {
	case "json":
		encoder := json.NewEncoder(s.out)
		encoder.SetEscapeHTML(false)
		return encoder.Encode(struct {
			Objects  int           `json:"objects"`
			Errors   schema.Errors `json:"errors"`
			Warnings schema.Errors `json:"warnings"`
		}{r.Set.Len(), nonNil(errs), nonNil(r.Warnings)})
	case "github":
		annotate(s.out, "error", errs)
		annotate(s.out, "warning", r.Warnings)
		return nil
	default:
		listErrors(s.out, s.style(), r, errs)
		return nil
	}
}

func nonNil(errs schema.Errors) schema.Errors {
	if errs == nil {
		return schema.Errors{}
	}
	return errs
}

func listErrors(w io.Writer, style term.Style, r render.Result, errs schema.Errors) {
	for _, e := range errs {
		fmt.Fprint(w, term.Lines(0, style.Bad, "error", e.Error()))
	}
	for _, e := range r.Warnings {
		fmt.Fprint(w, term.Lines(0, style.Warn, "warning", e.Error()))
	}
	if len(errs) > 0 {
		fmt.Fprintf(w, "%s wrong\n", count(len(errs), "thing"))
		return
	}
	fmt.Fprintf(w, "%s %s\n", style.Good("fine:"), count(r.Set.Len(), "object"))
}

// annotate writes workflow commands as GitHub documents them: "::error file=F,line=L,col=C::MESSAGE", with %, CR, LF and in
// properties also : and , escaped.
func annotate(w io.Writer, level string, errs schema.Errors) {
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	text := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	for _, e := range errs {
		var where []string
		if e.File != "" {
			where = append(where, "file="+property.Replace(e.File))
		}
		if e.Line > 0 {
			where = append(where, fmt.Sprintf("line=%d", e.Line))
		}
		if e.Column > 0 {
			where = append(where, fmt.Sprintf("col=%d", e.Column))
		}
		message := e.Message
		if e.Field != "" {
			message = e.Field + ": " + message
		}
		fmt.Fprintf(w, "::%s %s::%s\n", level, strings.Join(where, ","), text.Replace(schema.Printable(message)))
	}
}
