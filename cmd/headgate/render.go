package main

import (
	"slices"

	"github.com/spf13/cobra"

	"headgate.dev/render/object"
)

func renderCommand(s streams) *cobra.Command {
	var f treeFlags
	output, secrets := "yaml", false
	c := &cobra.Command{
		Use:   "render [DIR]",
		Short: "Print the objects a directory stands for",
		Long: `Print the Gateway API objects that a directory (default: the current one) renders to, together with every
other manifest in it, as a stream in a stable order: the same tree gives the same bytes. Nothing is applied.

The saved files are read; --ref reads a commit instead. In a Git repository, kustomizations may refer to
directories beside DIR. The values of Secrets are masked unless --show-secrets asks for them.`,
		Example: `  headgate render
  headgate render examples/01-hello -o json
  headgate render --ref main deploy/prod`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := oneOf("output", output, "yaml", "json"); err != nil {
				return err
			}
			endsSoon()
			result, err := f.render(cmd.Context(), args)
			if err != nil {
				return err
			}
			for _, w := range slices.Concat(result.Warnings, result.Ungranted) {
				cmd.PrintErrln("warning:", w.Error())
			}
			if masked := secretsIn(result.Set); masked > 0 && !secrets {
				cmd.PrintErrf("note: the values of %s are masked; do not apply this output without --show-secrets\n", count(masked, "Secret"))
			}
			write := object.WriteYAML
			if output == "json" {
				write = object.WriteJSON
			}
			return write(s.out, result.Set.All(), object.PrintOptions{Secrets: secrets})
		},
	}
	f.add(c)
	c.Flags().StringVarP(&output, "output", "o", output, "yaml or json (one object per line)")
	c.Flags().BoolVar(&secrets, "show-secrets", false, "print the values of Secrets, for output that is to be applied")
	mustComplete(c, "output", "yaml", "json")
	return c
}

func secretsIn(set *object.Set) int {
	n := 0
	for o := range set.All() {
		if o.ID.Group == "" && o.ID.Kind == "Secret" {
			n++
		}
	}
	return n
}
