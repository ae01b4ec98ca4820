package graph

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"slices"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
)

// How subjects and attributes are written, compactly: three quarters of all rows are files, and what is said of
// files is mostly digests, which hexadecimal would double. Numbers are places in lists that only grow at the end.

// algorithms are those whose digests are kept as bytes, in the order of their numbers, from 1.
var algorithms = []string{
	"sha256", "sha1", "sha512", "md5", "sha384", "sha224", "sha3-256", "sha3-384", "sha3-512", "blake2b-256",
	"blake2b-384", "blake2b-512", "blake3", "gitoid-sha1", "gitoid-sha256",
}

// attributes are the names of attributes that are kept as numbers, from 1.
var attributes = []string{
	"path", "layer", "types", "scope", "range", "direct", "why", "name", "entryPoint", "buildType", "parameters",
	"started", "finished", "invocation", "time", "log", "how", "status", "justification", "fixed", "severity", "by",
	"type", "score", "checks", "verdict", "policy", "reason", "request", "key", "value", "container", "namespace",
	"observed",
}

var errEncoding = errors.New("not as it was written")

// packDigest gives the number of a digest's algorithm and its bytes; ok is false for what is no digest in the one
// form that unpackDigest gives back.
func packDigest(s string) (algorithm byte, raw []byte, ok bool) {
	name, digits, found := strings.Cut(s, ":")
	n := slices.Index(algorithms, name)
	if !found || n < 0 || strings.ToLower(digits) != digits {
		return 0, nil, false
	}
	raw, err := hex.DecodeString(digits)
	return byte(n + 1), raw, err == nil && len(raw) > 0
}

func unpackDigest(algorithm byte, raw []byte) (string, error) {
	if algorithm == 0 || int(algorithm) > len(algorithms) {
		return "", errEncoding
	}
	return algorithms[algorithm-1] + ":" + hex.EncodeToString(raw), nil
}

// packSubject writes a subject: its kind, the algorithm if the key is a digest or 0, and the key.
func packSubject(s seaworthy.Subject) []byte {
	if algorithm, raw, ok := packDigest(s.Key); ok {
		return append([]byte{numberOfKind(s.Kind), algorithm}, raw...)
	}
	return append([]byte{numberOfKind(s.Kind), 0}, s.Key...)
}

func unpackSubject(b []byte) (seaworthy.Subject, error) {
	if len(b) < 3 || kindOf(b[0]) == "" {
		return seaworthy.Subject{}, errEncoding
	}
	if b[1] == 0 {
		return seaworthy.Subject{Kind: kindOf(b[0]), Key: string(b[2:])}, nil
	}
	key, err := unpackDigest(b[1], b[2:])
	return seaworthy.Subject{Kind: kindOf(b[0]), Key: key}, err
}

// packAttrs writes attributes: for each its number (or 0 and its name), and its value, as a digest if it is one.
func packAttrs(attrs []seaworthy.Property) []byte {
	if len(attrs) == 0 {
		return nil
	}
	b := make([]byte, 0, 64)
	for _, a := range attrs {
		n := slices.Index(attributes, a.Name) + 1
		b = append(b, byte(n))
		if n == 0 {
			b = binary.AppendUvarint(b, uint64(len(a.Name)))
			b = append(b, a.Name...)
		}
		if algorithm, raw, ok := packDigest(a.Value); ok {
			b = binary.AppendUvarint(b, uint64(len(raw))<<1|1)
			b = append(append(b, algorithm), raw...)
			continue
		}
		b = binary.AppendUvarint(b, uint64(len(a.Value))<<1)
		b = append(b, a.Value...)
	}
	return b
}

// unpackAttrs reads what packAttrs wrote. What it returns does not share b.
func unpackAttrs(b []byte) ([]seaworthy.Property, error) {
	var attrs []seaworthy.Property
	take := func(n uint64) (string, bool) {
		if n > uint64(len(b)) {
			return "", false
		}
		s := string(b[:n])
		b = b[n:]
		return s, true
	}
	number := func() (uint64, bool) {
		n, size := binary.Uvarint(b)
		if size <= 0 {
			return 0, false
		}
		b = b[size:]
		return n, true
	}
	for len(b) > 0 {
		n := int(b[0])
		b = b[1:]
		var a seaworthy.Property
		ok := true
		if n == 0 {
			var size uint64
			if size, ok = number(); ok {
				a.Name, ok = take(size)
			}
		} else if ok = n <= len(attributes); ok {
			a.Name = attributes[n-1]
		}
		size, more := number()
		if !ok || !more {
			return nil, errEncoding
		}
		algorithm := byte(0)
		if size&1 == 1 {
			if len(b) == 0 {
				return nil, errEncoding
			}
			algorithm, b = b[0], b[1:]
		}
		if a.Value, ok = take(size >> 1); !ok {
			return nil, errEncoding
		}
		if algorithm != 0 {
			var err error
			if a.Value, err = unpackDigest(algorithm, []byte(a.Value)); err != nil {
				return nil, err
			}
		}
		attrs = append(attrs, a)
	}
	return attrs, nil
}
