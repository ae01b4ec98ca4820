package repo

import (
	"bytes"
	"time"

	"go.etcd.io/bbolt"

	"github.com/seaworthy-dev/seaworthy"
)

// LinkedAnywhere reports whether a blob may be read in any repository: if not, its bytes are garbage.
func (s *Store) LinkedAnywhere(d seaworthy.Digest) (yes bool, err error) {
	p := []byte(pack(d))
	err = s.view(func(tx *bbolt.Tx) error {
		yes = len(p) > 0 && any(tx, links, p)
		return nil
	})
	return yes, err
}

// collectPage is how many links are looked at in one transaction, so that none lasts long.
const collectPage = 1000

// CollectLinks unlinks blobs that no manifest of their repository uses and that nobody has relied on since
// before. It returns how many. Errors: Storage.
func (s *Store) CollectLinks(before time.Time) (int, error) {
	collected := 0
	for at := []byte(nil); ; {
		idle, next, err := s.idleLinks(at, before)
		if err != nil {
			return collected, err
		}
		if len(idle) > 0 {
			removed := 0
			err := s.update(func(tx *bbolt.Tx) error {
				removed = 0
				for _, k := range idle {
					if !isIdle(tx, k, tx.Bucket(blobs).Get(k), before) {
						continue // somebody has come for it meanwhile
					}
					repository, packed := repositoryOf(k)
					if err := unlink(tx, repository, string(packed)); err != nil {
						return err
					}
					removed++
				}
				return nil
			})
			collected += removed
			if err != nil {
				return collected, err
			}
		}
		if next == nil {
			return collected, nil
		}
		at = next
	}
}

func (s *Store) idleLinks(at []byte, before time.Time) (idle [][]byte, next []byte, err error) {
	err = s.view(func(tx *bbolt.Tx) error {
		c := tx.Bucket(blobs).Cursor()
		n := 0
		for k, v := c.Seek(at); k != nil; k, v = c.Next() {
			if n++; n > collectPage {
				next = bytes.Clone(k)
				break
			}
			if isIdle(tx, k, v, before) {
				idle = append(idle, bytes.Clone(k))
			}
		}
		return nil
	})
	return idle, next, err
}

func isIdle(tx *bbolt.Tx, k, touched []byte, before time.Time) bool {
	return touched != nil && stamped(touched).Before(before) && !any(tx, uses, k)
}

// CollectManifests deletes manifests of a repository that were pushed before then and that nothing needs: no tag
// points to them, no index that is kept has them, and they do not refer to anything that is kept. It returns how
// many. Errors: Storage.
func (s *Store) CollectManifests(repository string, before time.Time) (int, error) {
	var garbage []string
	find := func(tx *bbolt.Tx) error {
		garbage = unneeded(tx, repository, before)
		return nil
	}
	if err := s.view(find); err != nil || len(garbage) == 0 {
		return 0, err
	}
	err := s.update(func(tx *bbolt.Tx) error {
		if err := find(tx); err != nil { // again, now that nobody else writes
			return err
		}
		for _, packed := range garbage {
			if err := deleteManifest(tx, repository, packed); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return len(garbage), nil
}

// unneeded walks from what is tagged or young, through what that uses and what refers to it.
func unneeded(tx *bbolt.Tx, repository string, before time.Time) (garbage []string) {
	own := key(repository)
	kept := map[string]bool{}
	var queue []string
	keep := func(packed []byte) {
		if !kept[string(packed)] {
			kept[string(packed)] = true
			queue = append(queue, string(packed))
		}
	}
	c := tx.Bucket(tags).Cursor()
	for k, v := c.Seek(own); bytes.HasPrefix(k, own); k, v = c.Next() {
		keep(v)
	}
	c = tx.Bucket(manifests).Cursor()
	for k, v := c.Seek(own); bytes.HasPrefix(k, own); k, v = c.Next() {
		if !stamped(v).Before(before) {
			keep(k[len(own):])
		}
	}
	for len(queue) > 0 {
		packed := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		_, used := wanted(tx, key(repository, packed))
		for _, u := range used {
			if tx.Bucket(manifests).Get(key(repository, u)) != nil {
				keep([]byte(u))
			}
		}
		about := key(repository, packed)
		c := tx.Bucket(referrers).Cursor()
		for k, _ := c.Seek(about); bytes.HasPrefix(k, about); k, _ = c.Next() {
			keep(k[len(about):])
		}
	}
	for k, _ := c.Seek(own); bytes.HasPrefix(k, own); k, _ = c.Next() {
		if !kept[string(k[len(own):])] {
			garbage = append(garbage, string(k[len(own):]))
		}
	}
	return garbage
}
