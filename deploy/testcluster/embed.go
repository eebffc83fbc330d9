//go:build linux

package main

import _ "embed"

// versionsFile is versions.txt, which package pin reads.
//
//go:embed versions.txt
var versionsFile string

// pauseSource is the program that holds the namespaces of a pod.
//
//go:embed pause/main.go
var pauseSource string
