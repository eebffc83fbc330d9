// Package process runs Envoy as a child process: it starts it with a bootstrap, starts it again when it dies, and stops
// it. The child never outlives this program, however that ends.
//
// For a pod there is more: Health answers its probes, Drain takes leave of clients before the end, and a Reaper does what
// the first process of a container has to do.
package process
