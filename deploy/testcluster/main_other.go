//go:build !linux

// Testcluster runs a real one-node Kubernetes for tests. It needs Linux.
package main

import (
	"fmt"
	"os"
	"runtime"
)

func main() {
	fmt.Fprintf(os.Stderr, "testcluster: a test cluster needs Linux, this is %s; run it as root in a Linux container or virtual machine\n", runtime.GOOS)
	os.Exit(1)
}
