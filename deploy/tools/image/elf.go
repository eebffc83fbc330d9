package main

import (
	"bytes"
	"debug/elf"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// linked takes over what a program is linked with: its loader, its libraries, and theirs.
func linked(into, from tree, program string) error {
	f, err := elf.Open(program)
	if err != nil {
		return err
	}
	defer f.Close()
	needed, err := needs(f)
	if err != nil {
		return fmt.Errorf("%s: %w", program, err)
	}
	for len(needed) > 0 {
		name := needed[0]
		needed = needed[1:]
		found, err := find(from, name)
		if err != nil {
			return fmt.Errorf("%s: %w", program, err)
		}
		if _, have := into[found]; have {
			continue
		}
		entry := from[found]
		into.add(found, entry)
		if entry.link != "" { // the loader's own name leads to it
			needed = append(needed, path.Join("/", path.Dir(found), entry.link))
			if path.IsAbs(entry.link) {
				needed[len(needed)-1] = entry.link
			}
			continue
		}
		library, err := elf.NewFile(bytes.NewReader(entry.data))
		if err != nil {
			return fmt.Errorf("%s: %w", found, err)
		}
		more, err := needs(library)
		if err != nil {
			return fmt.Errorf("%s: %w", found, err)
		}
		needed = append(needed, more...)
	}
	return nil
}

// needs lists the loader (an absolute path) and the libraries (names) of a program. A static one has none.
func needs(f *elf.File) ([]string, error) {
	var names []string
	for _, p := range f.Progs {
		if p.Type != elf.PT_INTERP {
			continue
		}
		text := make([]byte, p.Filesz)
		if _, err := p.ReadAt(text, 0); err != nil {
			return nil, fmt.Errorf("reading the name of its loader: %w", err)
		}
		names = append(names, strings.TrimRight(string(text), "\x00"))
	}
	libraries, err := f.ImportedLibraries()
	if err != nil {
		return nil, fmt.Errorf("reading the names of its libraries: %w", err)
	}
	return append(names, libraries...), nil
}

// find finds an absolute path, or a library by its name where the loader looks.
func find(t tree, name string) (string, error) {
	if path.IsAbs(name) {
		if p := strings.TrimPrefix(name, "/"); t[p].data != nil || t[p].link != "" {
			return p, nil
		}
		return "", fmt.Errorf("no package has %s", name)
	}
	for _, p := range slices.Sorted(maps.Keys(t)) {
		if path.Base(p) == name && (strings.HasPrefix(p, "lib/") || strings.HasPrefix(p, "usr/lib/")) && strings.Count(p, "/") <= 3 {
			return p, nil
		}
	}
	return "", fmt.Errorf("no package has the library %s", name)
}

// authorities puts the certificates of public authorities into one file.
func authorities(from tree) ([]byte, error) {
	var out bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(from)) {
		if !strings.HasPrefix(name, "usr/share/ca-certificates/") || !strings.HasSuffix(name, ".crt") {
			continue
		}
		block, _ := pem.Decode(from[name].data)
		if block == nil || block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("%s is no certificate", name)
		}
		out.Write(pem.EncodeToMemory(block))
	}
	if out.Len() == 0 {
		return nil, errors.New("no package has certificates of public authorities")
	}
	return out.Bytes(), nil
}
