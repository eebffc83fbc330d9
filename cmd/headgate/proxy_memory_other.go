//go:build !linux

package main

// unmapProgram does nothing: pods are Linux.
func unmapProgram() {}
