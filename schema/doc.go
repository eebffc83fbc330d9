// Package schema holds what users write: the types of the headgate.dev files, and the strict decoding and validation that
// turns a wrong line into an error with file, line, column, field and remedy. Package source below reads the YAML.
//
// A spec is a YAML document of apiVersion headgate.dev/v1alpha1 that headgate expands itself and no cluster ever sees
// (ServiceSpec, GatewaySpec).
// A short form is the scalar or map a user normally writes for a field, a long form the object that can say everything;
// the types below hold the long form only, whatever was written.
//
// The doc comments of the types are the field reference: the JSON Schemas and README.md beside this file are generated
// from them. The lines "Default:", "Limits:", "Example:" and "Becomes:" at the end of a field's comment fill the columns
// of the reference; "Required." makes the field one.
package schema

//go:generate go -C ../deploy/tools/schemagen run . ../../../schema ../../../render/admit/crds
