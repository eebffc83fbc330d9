package image

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func read(t *testing.T, r io.Reader) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for in := tar.NewReader(r); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[h.Name], err = io.ReadAll(in); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWriteIsAnImageLayout(t *testing.T) {
	program := filepath.Join(t.TempDir(), "p")
	if err := os.WriteFile(program, []byte("#!"), 0o600); err != nil {
		t.Fatal(err)
	}
	i := Image{Ref: "headgate.local/x:1", Entrypoint: []string{"/bin/p"}, Files: map[string]string{"/bin/p": program, "/bin/q": program}, User: "1:1"}
	var a, b bytes.Buffer
	if Write(&a, i) != nil || Write(&b, i) != nil || !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Fatal("twice the same image is not the same bytes")
	}
	files := read(t, &a)
	blobOf := func(digest string) []byte {
		hash := strings.TrimPrefix(digest, "sha256:")
		data := files["blobs/sha256/"+hash]
		if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != hash {
			t.Fatalf("%s is not the digest of its blob", digest)
		}
		return data
	}
	var index struct{ Manifests []descriptor }
	var manifest struct {
		Config descriptor
		Layers []descriptor
	}
	var config struct {
		RootFS struct {
			DiffIDs []string `json:"diff_ids"`
		}
	}
	for _, step := range []struct {
		data func() []byte
		into any
	}{
		{func() []byte { return files["index.json"] }, &index},
		{func() []byte { return blobOf(index.Manifests[0].Digest) }, &manifest},
		{func() []byte { return blobOf(manifest.Config.Digest) }, &config},
	} {
		if err := json.Unmarshal(step.data(), step.into); err != nil {
			t.Fatal(err)
		}
	}
	if name := index.Manifests[0].Annotations["io.containerd.image.name"]; name != i.Ref {
		t.Errorf("named %q", name)
	}
	if config.RootFS.DiffIDs[0] != manifest.Layers[0].Digest {
		t.Error("the layer of the configuration is not that of the manifest")
	}
	layer := read(t, bytes.NewReader(blobOf(manifest.Layers[0].Digest)))
	for _, name := range []string{"bin/", "bin/p", "bin/q", "tmp/"} {
		if _, ok := layer[name]; !ok {
			t.Errorf("the layer has no %s", name)
		}
	}
	// As a directory it is read back as the same archive.
	dir := t.TempDir()
	for name, data := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if names, err := Names(dir); err != nil || len(names) != 1 || names[0] != i.Ref {
		t.Errorf("the names of the directory: %q, %v", names, err)
	}
	archive, err := Archive(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	again := read(t, archive)
	for name, data := range files {
		if !bytes.Equal(again[name], data) {
			t.Errorf("%s differs when read from a directory", name)
		}
	}
}

func TestArchiveRefuses(t *testing.T) {
	if _, err := Archive(t.TempDir()); err == nil || !strings.Contains(err.Error(), "oci-layout") {
		t.Errorf("an empty directory: %v", err)
	}
	if _, err := Archive("/does/not/exist"); err == nil {
		t.Error("a path that does not exist is an image")
	}
}

func TestNames(t *testing.T) {
	pack := func(name, text string) []byte {
		var b bytes.Buffer
		out := tar.NewWriter(&b)
		if err := add(out, name, 0o644, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if err := out.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	zip := func(data []byte) []byte {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	docker := pack("manifest.json", `[{"RepoTags":["a.local/x:1","a.local/x:2","a.local/x:1"]}]`)
	for _, c := range []struct {
		archive     []byte
		want, cause string
	}{
		{docker, "[a.local/x:1 a.local/x:2]", ""},
		{zip(docker), "[a.local/x:1 a.local/x:2]", ""},
		{pack("./index.json", `{"manifests":[{"annotations":{"org.opencontainers.image.ref.name":"a.local/y:1"}},{"annotations":{"org.opencontainers.image.ref.name":"dev"}},{}]}`), "[a.local/y:1]", ""},
		{pack("index.json", `{`), "[]", "reading index.json"},
		{pack("other", ``), "[]", "neither"},
		{[]byte("no archive, but longer than a header of 512 bytes" + strings.Repeat(".", 600)), "[]", "reading the archive"},
		{nil, "[]", "neither"},
	} {
		got, err := names(bytes.NewReader(c.archive))
		if fmt.Sprint(got) != c.want || (err == nil) != (c.cause == "") || err != nil && !strings.Contains(err.Error(), c.cause) {
			t.Errorf("got %v, %v; want %s, %s", got, err, c.want, c.cause)
		}
	}
}
