package main

import (
	"strings"

	"github.com/spf13/cobra"

	"headgate.dev/schema"
)

func schemaCommand(s streams) *cobra.Command {
	kinds := []string{schema.KindServiceSpec, schema.KindGatewaySpec}
	return &cobra.Command{
		Use:   "schema [KIND]",
		Short: "Print the JSON Schema of the specs, for an editor",
		Long: `Print the JSON Schema (draft 2020-12) of a kind, ` + strings.Join(kinds, " or ") + `; without a kind, one schema for all of them.

An editor with a YAML language server checks and completes a file that begins with a line such as

  # yaml-language-server: $schema=servicespec.schema.json`,
		Example: `  headgate schema > headgate.schema.json
  headgate schema ServiceSpec > servicespec.schema.json`,
		Args:      cobra.MaximumNArgs(1),
		ValidArgs: kinds,
		RunE: func(_ *cobra.Command, args []string) error {
			kind := ""
			if len(args) > 0 {
				kind = args[0]
			}
			text, err := schema.JSONSchema(kind)
			if err != nil {
				return usageError{err}
			}
			_, err = s.out.Write(text)
			return err
		},
	}
}
