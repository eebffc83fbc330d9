package pack

import (
	"errors"
	"io"

	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// AddThin stores the objects of a pack whose bases may be in the storage already, one by one, and closes the storage.
func AddThin(st *filesystem.Storage, f io.Reader) error {
	// Only the interface: go-git keeps a file open per object of a storage that it can write to piece by piece.
	p, err := packfile.NewParserWithStorage(packfile.NewScanner(f), struct{ storer.EncodedObjectStorer }{st})
	if err != nil {
		return err
	}
	_, err = p.Parse()
	return errors.Join(err, st.ObjectStorage.Close())
}
