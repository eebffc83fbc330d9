package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/therootcompany/xz"
)

const (
	sources      = "/etc/apt/sources.list*" // a file, and a directory of them
	maxPackage   = 64 << 20
	maxUnpacked  = 64 << 20 // bytes of one file
	downloadTime = 2 * time.Minute
)

// pinned is a line of the lock file.
type pinned struct {
	archive, path, sum string
}

// urls are where the package may be: on the mirrors that this machine has its own packages from, or on that of DEBIAN_MIRROR,
// the address above the archives. What comes is checked by hash.
func (p pinned) urls() []string {
	if mirror := os.Getenv("DEBIAN_MIRROR"); mirror != "" {
		return []string{strings.TrimSuffix(mirror, "/") + "/" + p.archive + "/" + p.path}
	}
	files, _ := filepath.Glob(sources)
	more, _ := filepath.Glob(sources + "/*")
	var urls []string
	for _, name := range append(files, more...) {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // a directory, or not for us to read
		}
		for _, word := range strings.Fields(string(text)) {
			word = strings.TrimSuffix(word, "/")
			if strings.HasPrefix(word, "http") && path.Base(word) == p.archive {
				urls = append(urls, word+"/"+p.path)
			}
		}
	}
	return urls
}

// parseLock reads the lines that are for an architecture.
func parseLock(text, arch string) ([]pinned, error) {
	var all []pinned
	for n, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		f := strings.Fields(line)
		switch {
		case len(f) == 0:
		case len(f) == 4 && len(f[3]) == hex.EncodedLen(sha256.Size):
			if f[0] == arch || f[0] == "all" {
				all = append(all, pinned{archive: f[1], path: f[2], sum: f[3]})
			}
		default:
			return nil, fmt.Errorf("line %d: expected ARCHITECTURE ARCHIVE PATH SHA256", n+1)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("nothing is for %s", arch)
	}
	return all, nil
}

// fetchAll gives the packages of the lock file, from the cache or the network.
func fetchAll(lock, cache, arch string) ([][]byte, error) {
	text, err := os.ReadFile(lock)
	if err != nil {
		return nil, err
	}
	pins, err := parseLock(string(text), arch)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", lock, err)
	}
	if cache == "" {
		if cache, err = os.UserCacheDir(); err != nil {
			return nil, fmt.Errorf("finding a place for packages; give one with -cache: %w", err)
		}
		cache = filepath.Join(cache, "headgate", "debian")
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return nil, err
	}
	var packages [][]byte
	for _, p := range pins {
		data, err := fetch(p, filepath.Join(cache, p.sum+".deb"))
		if err != nil {
			return nil, err
		}
		packages = append(packages, data)
	}
	return packages, nil
}

func fetch(p pinned, kept string) ([]byte, error) {
	if data, err := os.ReadFile(kept); err == nil && sumOf(data) == p.sum {
		return data, nil
	}
	var problems []error
	for _, url := range p.urls() {
		data, err := download(url)
		if err == nil && sumOf(data) != p.sum {
			err = fmt.Errorf("%s: its SHA-256 is %s, not %s", url, sumOf(data), p.sum)
		}
		if err != nil {
			problems = append(problems, err)
			continue
		}
		next := kept + ".next" + strconv.Itoa(os.Getpid())
		if err := errors.Join(os.WriteFile(next, data, 0o644), os.Rename(next, kept)); err != nil {
			return nil, err
		}
		return data, nil
	}
	if len(problems) == 0 {
		return nil, fmt.Errorf("getting the package %s: this machine knows no mirror of %s; name one by DEBIAN_MIRROR", path.Base(p.path), p.archive)
	}
	return nil, fmt.Errorf("getting the package %s: %w", path.Base(p.path), errors.Join(problems...))
}

func download(url string) ([]byte, error) {
	client := &http.Client{Timeout: downloadTime}
	res, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", url, res.Status)
	}
	return io.ReadAll(io.LimitReader(res.Body, maxPackage))
}

func sumOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// unpack adds the files of a Debian package: an ar archive with a member data.tar.xz.
func unpack(deb []byte, into tree) error {
	const magic, header = "!<arch>\n", 60
	rest, ok := bytes.CutPrefix(deb, []byte(magic))
	if !ok {
		return errors.New("a package is no ar archive")
	}
	for len(rest) >= header {
		name := strings.TrimRight(string(rest[:16]), " /")
		size, err := strconv.Atoi(strings.TrimSpace(string(rest[48:58])))
		if err != nil || size < 0 || header+size > len(rest) {
			return errors.New("a package has a member of no size")
		}
		if name == "data.tar.xz" {
			return unpackTar(rest[header:header+size], into)
		}
		rest = rest[min(header+size+size%2, len(rest)):]
	}
	return errors.New("a package has no data.tar.xz")
}

func unpackTar(data []byte, into tree) error {
	x, err := xz.NewReader(bytes.NewReader(data), xz.DefaultDictMax)
	if err != nil {
		return fmt.Errorf("unpacking a package: %w", err)
	}
	for r := tar.NewReader(x); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("unpacking a package: %w", err)
		}
		name := strings.TrimPrefix(path.Clean("/"+h.Name), "/")
		switch h.Typeflag {
		case tar.TypeReg:
			text, err := io.ReadAll(io.LimitReader(r, maxUnpacked))
			if err != nil {
				return fmt.Errorf("unpacking %s: %w", name, err)
			}
			into[name] = file{mode: h.Mode & 0o755, data: text}
		case tar.TypeSymlink:
			into[name] = file{mode: 0o777, link: h.Linkname}
		}
	}
}
