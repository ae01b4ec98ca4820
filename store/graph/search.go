package graph

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"strings"
)

// index is what finds subjects: entries whose keys findKeys makes.
type index interface {
	// entries calls fn for the entries from lo to before hi, in order, until it returns false.
	entries(ctx context.Context, lo, hi []byte, fn func(indexEntry) bool) error
	// paths gives the paths of a file, as the first maxPaths statements about it have them.
	paths(ctx context.Context, id ID) ([]string, error)
}

// indexEntry finds a subject: by its key, by a name, or by the paths of a file.
type indexEntry struct {
	node  node
	name  string // "" for a key or a file
	class byte
}

// prefetcher is an index that reads the beginnings of ranges at once.
type prefetcher interface {
	prefetch(ctx context.Context, ranges []span, each int) error
}

// search looks an index up. Each range of it is in the order of hits, so that no more than its beginning is needed.
func (s sought) search(ctx context.Context, in index) ([]Hit, error) {
	ranges := s.ranges()
	if p, ok := in.(prefetcher); ok {
		if err := p.prefetch(ctx, ranges, s.limit); err != nil {
			return nil, err
		}
	}
	var all []found
	for _, r := range ranges {
		seen := map[ID]bool{}
		looked := 0
		var inner error
		err := in.entries(ctx, r.lo, r.hi, func(e indexEntry) bool {
			if looked++; len(seen) == s.limit && !seen[e.node.id] || looked > maxLook || looked%256 == 0 && ctx.Err() != nil {
				return false
			}
			var hits []found
			if hits, inner = s.by(ctx, in, e); len(hits) > 0 {
				all = append(all, hits...)
				seen[e.node.id] = true
			}
			return inner == nil
		})
		if err = errors.Join(err, inner); err != nil {
			return nil, err
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	return s.hits(all), nil
}

// by gives the hits of an entry.
func (s sought) by(ctx context.Context, in index, e indexEntry) (hits []found, err error) {
	if e.class != classFile {
		if hit, ok := s.match(e.node, e.name); ok {
			hits = append(hits, hit)
		}
		return hits, nil
	}
	paths, err := in.paths(ctx, e.node.id)
	for _, path := range paths {
		if hit, ok := s.matchPath(e.node, path, classFile); ok {
			hits = append(hits, hit)
		}
	}
	return hits, err
}

// span is a range of keys of an index.
type span struct{ lo, hi []byte }

// ranges are where entries for a text are.
func (s sought) ranges() []span {
	var all []span
	for _, kind := range s.kinds {
		for _, beginning := range s.beginnings() {
			lo := append([]byte{tableFind, kind}, beginning...)
			all = append(all, span{lo, after(lo)})
		}
		if !hasDigests(kind) {
			continue
		}
		for n, algorithm := range algorithms {
			for _, digits := range digestBeginnings(algorithm, s.text) {
				all = append(all, digestSpan([]byte{tableDigest, kind, byte(n + 1)}, digits))
			}
		}
	}
	return all
}

const hexDigits = "0123456789abcdef"

// digestBeginnings gives the hexadecimal beginnings that digests of an algorithm must have to be found by a text.
func digestBeginnings(algorithm, text string) []string {
	var all []string
	if strings.Trim(text, hexDigits) == "" {
		all = append(all, text)
	}
	whole := algorithm + ":"
	if digits, ok := strings.CutPrefix(text, whole); ok && strings.Trim(digits, hexDigits) == "" {
		all = append(all, digits)
	} else if strings.HasPrefix(whole, text) {
		all = append(all, "")
	}
	return all
}

// digestSpan is where digests are that begin with hexadecimal digits, as far as the index has them.
func digestSpan(prefix []byte, digits string) span {
	digits = digits[:min(len(digits), 2*digestLen)]
	known, _ := hex.DecodeString(digits[:len(digits)&^1]) // they are digits
	lo := append(prefix, known...)
	if len(digits)%2 == 0 {
		return span{lo, after(lo)}
	}
	half := byte(strings.IndexByte(hexDigits, digits[len(digits)-1])) << 4
	return span{append(bytes.Clone(lo), half), after(append(bytes.Clone(lo), half|0xf))}
}
