package repo

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"time"

	"go.etcd.io/bbolt"

	"github.com/seaworthy-dev/seaworthy"
)

// Manifest is one as it was pushed.
type Manifest struct {
	Digest    seaworthy.Digest
	MediaType string
	Body      []byte
	Pushed    time.Time // by the second
}

// Push is everything that pushing a manifest changes.
type Push struct {
	Repository string
	Manifest   Manifest // Pushed is set by PutManifest
	Tags       []string // which point to it from now on
	// Uses are the blobs and manifests it cannot do without.
	Uses []seaworthy.Digest
	// Subject is what it refers to, or "". Listing is then its descriptor as the subject's referrers are listed.
	Subject seaworthy.Digest
	Listing []byte
	// Demand makes the push fail with NotFound when something of it is not in the repository.
	Demand []seaworthy.Digest
	// Announce notes an event, to be heard with Events.
	Announce bool
}

// Event is a manifest that was pushed.
type Event struct {
	Number     uint64           `json:"-"` // rising
	Repository string           `json:"repository"`
	Digest     seaworthy.Digest `json:"digest"`
	MediaType  string           `json:"mediaType"`
	Subject    seaworthy.Digest `json:"subject,omitempty"`
	Tags       []string         `json:"tags,omitempty"`
	Pushed     time.Time        `json:"pushed"`
}

// Link lets a blob be read in a repository, from now on. Errors: Invalid, Storage.
func (s *Store) Link(repository string, d seaworthy.Digest) error {
	p := pack(d)
	if p == "" || !soundName(repository) {
		return seaworthy.Errorf(seaworthy.Invalid, "linking %q into %q: not a name", string(d), repository)
	}
	return s.update(func(tx *bbolt.Tx) error {
		return first(tx.Bucket(blobs).Put(key(repository, p), stamp(s.now())), tx.Bucket(links).Put([]byte(p+repository), nil))
	})
}

// Linked reports whether a blob may be read in a repository, and since when nobody has relied on that.
func (s *Store) Linked(repository string, d seaworthy.Digest) (touched time.Time, ok bool, err error) {
	err = s.view(func(tx *bbolt.Tx) error {
		b := tx.Bucket(blobs).Get(key(repository, pack(d)))
		touched, ok = stamped(b), b != nil
		return nil
	})
	return touched, ok, err
}

// Touch notes that somebody relies on a blob's being there. Errors: Storage.
func (s *Store) Touch(repository string, d seaworthy.Digest) error {
	k := key(repository, pack(d))
	return s.update(func(tx *bbolt.Tx) error {
		if tx.Bucket(blobs).Get(k) == nil {
			return nil
		}
		return tx.Bucket(blobs).Put(k, stamp(s.now()))
	})
}

// Unlink ends what Link began. Errors: NotFound, Storage.
func (s *Store) Unlink(repository string, d seaworthy.Digest) error {
	return s.update(func(tx *bbolt.Tx) error {
		if tx.Bucket(blobs).Get(key(repository, pack(d))) == nil {
			return seaworthy.Errorf(seaworthy.NotFound, "there is no blob %s in %q", d, repository)
		}
		return unlink(tx, repository, pack(d))
	})
}

func unlink(tx *bbolt.Tx, repository, packed string) error {
	return first(tx.Bucket(blobs).Delete(key(repository, packed)), tx.Bucket(links).Delete([]byte(packed+repository)))
}

// Holders calls yes for repositories in which a blob may be read, until it returns true, and returns that one.
// At most maxHolders are tried. "" is none.
func (s *Store) Holders(d seaworthy.Digest, yes func(repository string) bool) (string, error) {
	const maxHolders = 1000
	var names []string
	p := []byte(pack(d))
	err := s.view(func(tx *bbolt.Tx) error {
		c := tx.Bucket(links).Cursor()
		for k, _ := c.Seek(p); len(p) > 0 && bytes.HasPrefix(k, p) && len(names) < maxHolders; k, _ = c.Next() {
			names = append(names, string(k[len(p):]))
		}
		return nil
	})
	for _, name := range names {
		if err == nil && yes(name) {
			return name, nil
		}
	}
	return "", err
}

// PutManifest makes all changes of a push at once. Errors: NotFound (see Push.Demand), Invalid, Storage.
func (s *Store) PutManifest(p Push) error {
	d := pack(p.Manifest.Digest)
	if d == "" || !soundName(p.Repository) {
		return seaworthy.Errorf(seaworthy.Invalid, "pushing %q to %q: not a name", string(p.Manifest.Digest), p.Repository)
	}
	subject := pack(p.Subject)
	wanted := []byte{byte(len(subject))}
	wanted = append(wanted, subject...)
	for _, u := range p.Uses {
		wanted = append(wanted, pack(u)...)
	}
	return s.update(func(tx *bbolt.Tx) error {
		for _, need := range p.Demand {
			k := key(p.Repository, pack(need))
			if tx.Bucket(blobs).Get(k) == nil && tx.Bucket(manifests).Get(k) == nil {
				return seaworthy.Errorf(seaworthy.NotFound, "pushing %s to %q: %s is not there", p.Manifest.Digest, p.Repository, need)
			}
		}
		now := s.now()
		own := key(p.Repository, d)
		err := first(
			tx.Bucket(manifests).Put(own, append(stamp(now), p.Manifest.MediaType...)),
			tx.Bucket(holders).Put([]byte(d+p.Repository), nil),
			tx.Bucket(wants).Put(own, wanted))
		if err == nil && tx.Bucket(bodies).Get([]byte(d)) == nil {
			err = tx.Bucket(bodies).Put([]byte(d), p.Manifest.Body)
		}
		for _, u := range p.Uses {
			if used := pack(u); used != "" && err == nil {
				err = tx.Bucket(uses).Put(key(p.Repository, used, d), nil)
			}
		}
		if err == nil && subject != "" {
			err = tx.Bucket(referrers).Put(key(p.Repository, subject, d), p.Listing)
		}
		for _, tag := range p.Tags {
			if err == nil {
				err = setTag(tx, p.Repository, tag, d)
			}
		}
		if err == nil && p.Announce {
			err = announce(tx, p, now)
		}
		return err
	})
}

func setTag(tx *bbolt.Tx, repository, tag, packed string) error {
	k := key(repository, tag)
	if old := tx.Bucket(tags).Get(k); old != nil {
		if err := tx.Bucket(tagged).Delete(key(repository, string(old), tag)); err != nil {
			return err
		}
	}
	return first(tx.Bucket(tags).Put(k, []byte(packed)), tx.Bucket(tagged).Put(key(repository, packed, tag), nil))
}

func announce(tx *bbolt.Tx, p Push, now time.Time) error {
	b := tx.Bucket(events)
	number, err := b.NextSequence()
	if err != nil {
		return err
	}
	body, err := json.Marshal(Event{
		Repository: p.Repository, Digest: p.Manifest.Digest, MediaType: p.Manifest.MediaType, Subject: p.Subject, Tags: p.Tags,
		Pushed: now.UTC().Truncate(time.Second),
	})
	if err != nil {
		return err
	}
	return b.Put(binary.BigEndian.AppendUint64(nil, number), body)
}

// Manifest returns a manifest of a repository. Errors: NotFound, Storage.
func (s *Store) Manifest(repository string, d seaworthy.Digest) (m Manifest, err error) {
	err = s.view(func(tx *bbolt.Tx) error {
		m, err = manifest(tx, repository, d)
		return err
	})
	return m, err
}

// Tagged returns the manifest a tag points to. Errors: NotFound, Storage.
func (s *Store) Tagged(repository, tag string) (m Manifest, err error) {
	err = s.view(func(tx *bbolt.Tx) error {
		d, _, ok := unpack(tx.Bucket(tags).Get(key(repository, tag)))
		if !ok {
			return seaworthy.Errorf(seaworthy.NotFound, "there is no tag %q in %q", tag, repository)
		}
		m, err = manifest(tx, repository, d)
		return err
	})
	return m, err
}

func manifest(tx *bbolt.Tx, repository string, d seaworthy.Digest) (Manifest, error) {
	p := pack(d)
	b := tx.Bucket(manifests).Get(key(repository, p))
	body := tx.Bucket(bodies).Get([]byte(p))
	if len(b) < 8 || body == nil {
		return Manifest{}, seaworthy.Errorf(seaworthy.NotFound, "there is no manifest %s in %q", d, repository)
	}
	return Manifest{Digest: d, MediaType: string(b[8:]), Body: bytes.Clone(body), Pushed: stamped(b)}, nil
}

// DeleteTag removes a tag and nothing else. Errors: NotFound, Storage.
func (s *Store) DeleteTag(repository, tag string) error {
	return s.update(func(tx *bbolt.Tx) error {
		k := key(repository, tag)
		old := string(tx.Bucket(tags).Get(k))
		if old == "" {
			return seaworthy.Errorf(seaworthy.NotFound, "there is no tag %q in %q", tag, repository)
		}
		return first(tx.Bucket(tags).Delete(k), tx.Bucket(tagged).Delete(key(repository, old, tag)))
	})
}

// DeleteManifest removes a manifest, the tags that point to it, and its place among the referrers of its subject.
// Errors: NotFound, Storage.
func (s *Store) DeleteManifest(repository string, d seaworthy.Digest) error {
	return s.update(func(tx *bbolt.Tx) error {
		if tx.Bucket(manifests).Get(key(repository, pack(d))) == nil {
			return seaworthy.Errorf(seaworthy.NotFound, "there is no manifest %s in %q", d, repository)
		}
		return deleteManifest(tx, repository, pack(d))
	})
}

func deleteManifest(tx *bbolt.Tx, repository, packed string) error {
	own := key(repository, packed)
	var pointing []string
	c := tx.Bucket(tagged).Cursor()
	for k, _ := c.Seek(own); bytes.HasPrefix(k, own); k, _ = c.Next() {
		pointing = append(pointing, string(k[len(own):]))
	}
	for _, tag := range pointing {
		if err := first(tx.Bucket(tags).Delete(key(repository, tag)), tx.Bucket(tagged).Delete(key(repository, packed, tag))); err != nil {
			return err
		}
	}
	subject, used := wanted(tx, own)
	if subject != "" {
		if err := tx.Bucket(referrers).Delete(key(repository, subject, packed)); err != nil {
			return err
		}
	}
	for _, u := range used {
		if err := tx.Bucket(uses).Delete(key(repository, u, packed)); err != nil {
			return err
		}
	}
	err := first(tx.Bucket(manifests).Delete(own), tx.Bucket(wants).Delete(own), tx.Bucket(holders).Delete([]byte(packed+repository)))
	if err == nil && !any(tx, holders, []byte(packed)) {
		err = tx.Bucket(bodies).Delete([]byte(packed))
	}
	return err
}

// wanted returns the packed subject of a manifest, "" for none, and what it uses.
func wanted(tx *bbolt.Tx, own []byte) (subject string, used []string) {
	b := bytes.Clone(tx.Bucket(wants).Get(own))
	if len(b) == 0 || len(b) < 1+int(b[0]) {
		return "", nil
	}
	subject, b = string(b[1:1+int(b[0])]), b[1+int(b[0]):]
	for len(b) > 0 {
		_, rest, ok := unpack(b)
		if !ok {
			break
		}
		used = append(used, string(b[:len(b)-len(rest)]))
		b = rest
	}
	return subject, used
}

// any reports whether a bucket has a key that begins so.
func any(tx *bbolt.Tx, bucket, prefix []byte) bool {
	k, _ := tx.Bucket(bucket).Cursor().Seek(prefix)
	return bytes.HasPrefix(k, prefix)
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
