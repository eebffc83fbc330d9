package file

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"headgate.dev/agent/git/internal/odb"
)

// ReadSaved gives the bytes of a file, or where a link points; odb.ErrTooLarge of one of more than limit bytes.
func ReadSaved(root, name string, mode fs.FileMode, limit int64) (data []byte, size int64, err error) {
	full := filepath.Join(root, filepath.FromSlash(name))
	if mode&fs.ModeSymlink != 0 {
		to, err := os.Readlink(full)
		return []byte(to), int64(len(to)), err
	}
	f, err := os.Open(full)
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	st, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	if st.Size() > limit {
		return nil, st.Size(), odb.ErrTooLarge
	}
	b := bytes.NewBuffer(make([]byte, 0, st.Size()+bytes.MinRead)) // so that nothing is moved
	if _, err = b.ReadFrom(io.LimitReader(f, limit+1)); err == nil && int64(b.Len()) > limit {
		err = odb.ErrTooLarge
	}
	return b.Bytes(), int64(b.Len()), err
}
