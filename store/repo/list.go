package repo

import (
	"bytes"
	"encoding/binary"
	"encoding/json"

	"go.etcd.io/bbolt"

	"github.com/seaworthy-dev/seaworthy"
)

// Exists reports whether a repository holds anything.
func (s *Store) Exists(repository string) (yes bool, err error) {
	err = s.view(func(tx *bbolt.Tx) error {
		own := key(repository)
		yes = any(tx, manifests, own) || any(tx, blobs, own)
		return nil
	})
	return yes, err
}

// Repositories lists up to n names of repositories that hold something, in order of bytes, from the one after
// last.
func (s *Store) Repositories(last string, n int) (names []string, err error) {
	err = s.view(func(tx *bbolt.Tx) error {
		inManifests, inBlobs := tx.Bucket(manifests).Cursor(), tx.Bucket(blobs).Cursor()
		at := append([]byte(last), 1) // after all keys of last, which have a zero there
		if last == "" {
			at = nil
		}
		for len(names) < n {
			a, _ := inManifests.Seek(at)
			b, _ := inBlobs.Seek(at)
			if a == nil || b != nil && bytes.Compare(b, a) < 0 {
				a = b
			}
			if a == nil {
				break
			}
			name, _ := repositoryOf(a)
			names = append(names, name)
			at = append([]byte(name), 1)
		}
		return nil
	})
	return names, err
}

// Tags lists up to n tags of a repository in order of bytes, from the one after last.
func (s *Store) Tags(repository, last string, n int) (names []string, err error) {
	err = s.view(func(tx *bbolt.Tx) error {
		own := key(repository)
		c := tx.Bucket(tags).Cursor()
		k, _ := c.Seek(key(repository, last))
		if last != "" && bytes.Equal(k, key(repository, last)) {
			k, _ = c.Next()
		}
		for ; bytes.HasPrefix(k, own) && len(names) < n; k, _ = c.Next() {
			names = append(names, string(k[len(own):]))
		}
		return nil
	})
	return names, err
}

// Referrers calls yield with the listing of each manifest that refers to subject, in order of digests, from the
// one after last ("" for all), until it returns false. The listing is only good during the call.
func (s *Store) Referrers(repository string, subject, last seaworthy.Digest, yield func(d seaworthy.Digest, listing []byte) bool) error {
	return s.view(func(tx *bbolt.Tx) error {
		own := key(repository, pack(subject))
		c := tx.Bucket(referrers).Cursor()
		from := key(repository, pack(subject), pack(last))
		k, v := c.Seek(from)
		if last != "" && bytes.Equal(k, from) {
			k, v = c.Next()
		}
		for ; bytes.HasPrefix(k, own); k, v = c.Next() {
			d, _, ok := unpack(k[len(own):])
			if ok && !yield(d, v) {
				break
			}
		}
		return nil
	})
}

// Events returns up to n events nobody has heard of yet, the oldest first.
func (s *Store) Events(n int) (list []Event, err error) {
	err = s.view(func(tx *bbolt.Tx) error {
		c := tx.Bucket(events).Cursor()
		for k, v := c.First(); k != nil && len(list) < n; k, v = c.Next() {
			e := Event{Number: binary.BigEndian.Uint64(k)}
			if err := json.Unmarshal(v, &e); err != nil {
				return seaworthy.Wrap(err, seaworthy.Storage, "reading event %d", e.Number)
			}
			list = append(list, e)
		}
		return nil
	})
	return list, err
}

// Heard forgets events up to a number. Errors: Storage.
func (s *Store) Heard(number uint64) error {
	return s.update(func(tx *bbolt.Tx) error {
		var heard [][]byte
		c := tx.Bucket(events).Cursor()
		for k, _ := c.First(); k != nil && binary.BigEndian.Uint64(k) <= number; k, _ = c.Next() {
			heard = append(heard, bytes.Clone(k))
		}
		for _, k := range heard {
			if err := tx.Bucket(events).Delete(k); err != nil {
				return err
			}
		}
		return nil
	})
}
