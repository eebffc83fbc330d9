// Package process runs Envoy as a child process: it starts it with a bootstrap, starts it again when it dies, and stops
// it. The child never outlives this program, however that ends.
package process
