// Package image writes container images of one layer, as archives in the format of the OCI image layout. The same input gives the same bytes.
package image

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// Image is one program or a few with what they need.
type Image struct {
	// Ref is the full name with a tag, as in headgate.local/pause:1.
	Ref        string
	Entrypoint []string
	// Files are paths on this machine by the path in the image, which begins with a slash. All are executable.
	Files map[string]string
	// Texts are the contents of further files by their paths in the image. They are executable too.
	Texts map[string]string
	// User is a number, optionally with a group behind a colon; empty is root.
	User string
}

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int               `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

const media = "application/vnd.oci.image."

// Write writes the archive of an image.
func Write(w io.Writer, i Image) error {
	layer, err := i.layer()
	if err != nil {
		return fmt.Errorf("making the layer of image %s: %w", i.Ref, err)
	}
	out := tar.NewWriter(w)
	layerAt, err := blob(out, "layer.v1.tar", layer)
	if err != nil {
		return err
	}
	configAt, err := jsonBlob(out, "config.v1+json", map[string]any{
		"architecture": runtime.GOARCH, "os": "linux",
		"config": map[string]any{"Entrypoint": i.Entrypoint, "User": i.User, "Env": []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{layerAt.Digest}},
	})
	if err != nil {
		return err
	}
	manifestAt, err := jsonBlob(out, "manifest.v1+json", map[string]any{
		"schemaVersion": 2, "mediaType": media + "manifest.v1+json", "config": configAt, "layers": []descriptor{layerAt},
	})
	if err != nil {
		return err
	}
	manifestAt.Annotations = map[string]string{"io.containerd.image.name": i.Ref, "org.opencontainers.image.ref.name": tag(i.Ref)}
	index, err := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": media + "index.v1+json", "manifests": []descriptor{manifestAt}})
	if err != nil {
		return err
	}
	if err := add(out, "index.json", 0o644, index); err != nil {
		return err
	}
	if err := add(out, "oci-layout", 0o644, []byte(`{"imageLayoutVersion":"1.0.0"}`)); err != nil {
		return err
	}
	return out.Close()
}

func tag(ref string) string { return ref[strings.LastIndex(ref, ":")+1:] }

func (i Image) layer() ([]byte, error) {
	var buffer bytes.Buffer
	out := tar.NewWriter(&buffer)
	made := map[string]bool{"": true}
	paths := slices.Concat(slices.Collect(maps.Keys(i.Files)), slices.Collect(maps.Keys(i.Texts)))
	slices.Sort(paths)
	for _, to := range paths {
		data, err := i.content(to)
		if err != nil {
			return nil, err
		}
		name := strings.Trim(to, "/")
		if err := parents(out, path.Dir(name), made); err != nil {
			return nil, err
		}
		if err := add(out, name, 0o755, data); err != nil {
			return nil, err
		}
	}
	if err := out.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: "tmp/", Mode: 0o1777}); err != nil {
		return nil, err
	}
	return buffer.Bytes(), out.Close()
}

func (i Image) content(to string) ([]byte, error) {
	if text, ok := i.Texts[to]; ok {
		return []byte(text), nil
	}
	return os.ReadFile(i.Files[to])
}

func parents(out *tar.Writer, dir string, made map[string]bool) error {
	if dir == "." || made[dir] {
		return nil
	}
	if err := parents(out, path.Dir(dir), made); err != nil {
		return err
	}
	made[dir] = true
	return out.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755})
}

func jsonBlob(out *tar.Writer, kind string, value any) (descriptor, error) {
	data, err := json.Marshal(value)
	if err != nil {
		return descriptor{}, err
	}
	return blob(out, kind, data)
}

func blob(out *tar.Writer, kind string, data []byte) (descriptor, error) {
	sum := sha256.Sum256(data)
	hash := hex.EncodeToString(sum[:])
	return descriptor{MediaType: media + kind, Digest: "sha256:" + hash, Size: len(data)}, add(out, "blobs/sha256/"+hash, 0o644, data)
}

func add(out *tar.Writer, name string, mode int64, data []byte) error {
	if err := out.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(data))}); err != nil {
		return err
	}
	_, err := out.Write(data)
	return err
}

// Archive opens an image for reading as an archive: a file is taken as it is, a directory must be an OCI image layout.
func Archive(from string) (io.ReadCloser, error) {
	info, err := os.Stat(from)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return os.Open(from)
	}
	if _, err := os.Stat(filepath.Join(from, "oci-layout")); err != nil {
		return nil, fmt.Errorf("%s is not an image: a directory must be an OCI image layout, with a file oci-layout", from)
	}
	reader, writer := io.Pipe()
	go func() { // ends when everything was read, or the reader was closed
		out := tar.NewWriter(writer)
		err := out.AddFS(os.DirFS(from))
		if err == nil {
			err = out.Close()
		}
		writer.CloseWithError(err)
	}()
	return reader, nil
}
