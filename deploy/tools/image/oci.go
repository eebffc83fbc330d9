package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"
)

// The types of the OCI image specification, with what we use of them.
type (
	descriptor struct {
		MediaType   string            `json:"mediaType"`
		Digest      string            `json:"digest"`
		Size        int               `json:"size"`
		Platform    *platform         `json:"platform,omitempty"`
		Annotations map[string]string `json:"annotations,omitempty"`
	}
	platform struct {
		Architecture string `json:"architecture"`
		OS           string `json:"os"`
	}
	manifest struct {
		SchemaVersion int          `json:"schemaVersion"`
		MediaType     string       `json:"mediaType"`
		Config        descriptor   `json:"config"`
		Layers        []descriptor `json:"layers"`
	}
	index struct {
		SchemaVersion int          `json:"schemaVersion"`
		MediaType     string       `json:"mediaType"`
		Manifests     []descriptor `json:"manifests"`
	}
	imageConfig struct {
		platform
		Config struct {
			User       string            `json:"User"`
			Env        []string          `json:"Env"`
			Entrypoint []string          `json:"Entrypoint"`
			WorkingDir string            `json:"WorkingDir"`
			Labels     map[string]string `json:"Labels"`
		} `json:"config"`
		RootFS struct {
			Type    string   `json:"type"`
			DiffIDs []string `json:"diff_ids"`
		} `json:"rootfs"`
		History []history `json:"history"`
	}
	history struct {
		CreatedBy string `json:"created_by"`
	}
	// dockerImage is what `docker load` reads beside the index.
	dockerImage struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
)

const (
	manifestType = "application/vnd.oci.image.manifest.v1+json"
	indexType    = "application/vnd.oci.image.index.v1+json"
	configType   = "application/vnd.oci.image.config.v1+json"
	layerType    = "application/vnd.oci.image.layer.v1.tar+gzip"
	user         = "65532:65532"
)

// settings is what an image says of itself.
type settings struct{ Name, Version, Arch string }

// archive is a tar archive of blobs.
type archive struct {
	names []string
	data  map[string][]byte
}

func (a *archive) add(name string, data []byte) {
	if _, have := a.data[name]; !have {
		a.names = append(a.names, name)
		a.data[name] = data
	}
}

func (a *archive) blob(mediaType string, data []byte) descriptor {
	sum := sumOf(data)
	a.add("blobs/sha256/"+sum, data)
	return descriptor{MediaType: mediaType, Digest: "sha256:" + sum, Size: len(data)}
}

func (a *archive) json(mediaType string, v any) (descriptor, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return descriptor{}, err
	}
	return a.blob(mediaType, text), nil
}

// writeArchive writes an OCI layout as a tar archive that is one of `docker save` as well, and returns the digest of the
// manifest.
func writeArchive(out string, layers []tree, s settings) (digest string, err error) {
	a := &archive{data: map[string][]byte{}}
	m := manifest{SchemaVersion: 2, MediaType: manifestType}
	config := configOf(s)
	packed, err := pack(layers)
	if err != nil {
		return "", err
	}
	docker := dockerImage{RepoTags: []string{s.Name}}
	for i, p := range packed {
		d := a.blob(layerType, p.compressed)
		m.Layers = append(m.Layers, d)
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, "sha256:"+p.diffID)
		config.History = append(config.History, history{CreatedBy: []string{"libraries and certificates", "Envoy", "headgate"}[i]})
		docker.Layers = append(docker.Layers, "blobs/sha256/"+sumOf(p.compressed))
	}
	if m.Config, err = a.json(configType, config); err != nil {
		return "", err
	}
	docker.Config = "blobs/sha256/" + m.Config.Digest[len("sha256:"):]
	top, err := a.json(manifestType, m)
	if err != nil {
		return "", err
	}
	top.Platform = &platform{s.Arch, "linux"}
	top.Annotations = map[string]string{"io.containerd.image.name": s.Name, "org.opencontainers.image.ref.name": s.Name}
	for name, v := range map[string]any{
		"oci-layout":    map[string]string{"imageLayoutVersion": "1.0.0"},
		"index.json":    index{SchemaVersion: 2, MediaType: indexType, Manifests: []descriptor{top}},
		"manifest.json": []dockerImage{docker},
	} {
		text, err := json.Marshal(v)
		if err != nil {
			return "", err
		}
		a.data[name] = text
	}
	a.names = append([]string{"oci-layout", "index.json", "manifest.json"}, a.names...)
	return top.Digest, a.write(out)
}

func configOf(s settings) imageConfig {
	c := imageConfig{platform: platform{s.Arch, "linux"}}
	c.Config.User = user
	c.Config.Env = []string{"PATH=/usr/bin"}
	c.Config.Entrypoint = []string{"/usr/bin/headgate"}
	c.Config.WorkingDir = "/"
	c.Config.Labels = map[string]string{
		"org.opencontainers.image.title":    "headgate",
		"org.opencontainers.image.version":  s.Version,
		"org.opencontainers.image.licenses": "Apache-2.0",
	}
	c.RootFS.Type = "layers"
	return c
}

type packedLayer struct {
	compressed []byte
	diffID     string
}

// pack archives and compresses the layers, all at once.
func pack(layers []tree) ([]packedLayer, error) {
	packed, errs := make([]packedLayer, len(layers)), make([]error, len(layers))
	var wait sync.WaitGroup
	for i, t := range layers {
		wait.Go(func() { packed[i], errs[i] = packOne(t) })
	}
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return packed, nil
}

func packOne(t tree) (packedLayer, error) {
	plain, err := t.tar()
	if err != nil {
		return packedLayer{}, err
	}
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err != nil {
		return packedLayer{}, err
	}
	if _, err := w.Write(plain); err != nil {
		return packedLayer{}, err
	}
	if err := w.Close(); err != nil {
		return packedLayer{}, err
	}
	return packedLayer{out.Bytes(), sumOf(plain)}, nil
}

func (a *archive) write(out string) error {
	next := out + ".next"
	f, err := os.Create(next)
	if err != nil {
		return err
	}
	defer f.Close()
	w := tar.NewWriter(f)
	for _, name := range a.names {
		h := &tar.Header{Name: name, Mode: 0o644, Size: int64(len(a.data[name])), ModTime: time.Unix(0, 0), Typeflag: tar.TypeReg, Format: tar.FormatUSTAR}
		if err := w.WriteHeader(h); err != nil {
			return fmt.Errorf("writing %s: %w", out, err)
		}
		if _, err := w.Write(a.data[name]); err != nil {
			return fmt.Errorf("writing %s: %w", out, err)
		}
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("writing %s: %w", out, err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("writing %s: %w", out, err)
	}
	return os.Rename(next, out)
}
