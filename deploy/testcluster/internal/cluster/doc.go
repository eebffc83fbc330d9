// Package cluster takes a test cluster up and down: it builds what is missing, starts the node, loads the images, brings DNS, and waits
// until a test can begin. Everything it does can be done again: what is right already is left alone, what is missing is added.
package cluster
