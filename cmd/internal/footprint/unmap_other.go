//go:build !linux

package footprint

// unmap does nothing: pods are Linux.
func unmap() {}
