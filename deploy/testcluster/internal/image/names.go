package image

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Names are those that an archive gives its images, in its order: full names only, because a mere tag is not something that a pod can ask for.
func Names(from string) ([]string, error) {
	archive, err := Archive(from)
	if err != nil {
		return nil, err
	}
	defer archive.Close()
	names, err := names(archive)
	if err != nil {
		return nil, fmt.Errorf("%s is not an image: %w", from, err)
	}
	return names, nil
}

func names(archive io.Reader) ([]string, error) {
	in := bufio.NewReader(archive)
	var files io.Reader = in
	if magic, err := in.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
		if files, err = gzip.NewReader(in); err != nil {
			return nil, err
		}
	}
	var all []string
	known := false
	for r := tar.NewReader(files); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("reading the archive: %w", err)
		}
		var more []string
		switch strings.TrimPrefix(h.Name, "./") {
		case "index.json":
			more, err = ociNames(r)
		case "manifest.json":
			more, err = dockerNames(r)
		default:
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", h.Name, err)
		}
		known = true
		all = append(all, more...)
	}
	if !known {
		return nil, errors.New("the archive has neither an index.json nor a manifest.json")
	}
	return unique(all), nil
}

func ociNames(r io.Reader) (names []string, err error) {
	var index struct{ Manifests []descriptor }
	if err := json.NewDecoder(r).Decode(&index); err != nil {
		return nil, err
	}
	for _, m := range index.Manifests {
		if name := m.Annotations["io.containerd.image.name"]; name != "" {
			names = append(names, name)
		} else if name := m.Annotations["org.opencontainers.image.ref.name"]; strings.Contains(name, "/") {
			names = append(names, name)
		}
	}
	return names, nil
}

func dockerNames(r io.Reader) (names []string, err error) {
	var manifest []struct{ RepoTags []string }
	if err := json.NewDecoder(r).Decode(&manifest); err != nil {
		return nil, err
	}
	for _, m := range manifest {
		names = append(names, m.RepoTags...)
	}
	return names, nil
}

func unique(all []string) []string {
	var once []string
	seen := map[string]bool{}
	for _, s := range all {
		if !seen[s] {
			once = append(once, s)
		}
		seen[s] = true
	}
	return once
}
