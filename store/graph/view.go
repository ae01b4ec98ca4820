package graph

import (
	"bytes"
	"errors"
	"io"

	"github.com/cockroachdb/pebble/v2"
)

// reader is what rows are read from: the database, or a view of it.
type reader interface {
	Get(key []byte) ([]byte, io.Closer, error)
	NewIter(o *pebble.IterOptions) (*pebble.Iterator, error)
}

// view is one state of a database. It is an iterator, of which others are copies: unlike one of Pebble's snapshots it
// does not wait for anything that writes when it is closed, and a database whose disk is full can be asked.
// It is for one goroutine.
type view struct {
	gets  *pebble.Iterator
	first error
}

func newView(r reader) *view {
	it, err := r.NewIter(nil)
	return &view{it, err}
}

// clone is another view of the same state, for another goroutine.
func (v *view) clone() (*view, error) {
	it, err := v.NewIter(nil)
	return &view{it, err}, err
}

// NewIter implements reader.
func (v *view) NewIter(o *pebble.IterOptions) (*pebble.Iterator, error) {
	if v.first != nil {
		return nil, v.first
	}
	if o == nil {
		o = &pebble.IterOptions{}
	}
	return v.gets.Clone(pebble.CloneOptions{IterOptions: o})
}

// Get implements reader. The value is good until the next Get.
func (v *view) Get(key []byte) ([]byte, io.Closer, error) {
	if v.first != nil {
		return nil, nil, v.first
	}
	if !v.gets.SeekPrefixGE(key) || !bytes.Equal(v.gets.Key(), key) {
		if err := v.gets.Error(); err != nil {
			return nil, nil, err
		}
		return nil, nil, pebble.ErrNotFound
	}
	return v.gets.Value(), io.NopCloser(nil), nil
}

// Close ends the view, before the database is closed.
func (v *view) Close() error {
	if v.first != nil {
		return nil
	}
	return v.gets.Close()
}

// get reads one value; ok is false when there is none.
func get(r reader, key []byte) (value []byte, ok bool, err error) {
	v, closer, err := r.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	value = bytes.Clone(v)
	return value, true, closer.Close()
}
