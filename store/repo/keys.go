package repo

import (
	"bytes"
	"encoding/hex"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
)

// A key is the repository's name, a zero byte, and what it is about. Digests are stored as one byte for the
// algorithm and the raw bytes, so a key of several digests can be taken apart again.
const (
	algSHA256 = 1
	algSHA512 = 2
)

func key(repository string, parts ...string) []byte {
	n := len(repository) + 1
	for _, p := range parts {
		n += len(p)
	}
	k := make([]byte, 0, n)
	k = append(k, repository...)
	k = append(k, 0)
	for _, p := range parts {
		k = append(k, p...)
	}
	return k
}

// pack makes the stored form of a digest, "" for one that names no content.
func pack(d seaworthy.Digest) string {
	if !d.NamesContent() {
		return ""
	}
	alg := byte(algSHA256)
	if d.Algorithm() == "sha512" {
		alg = algSHA512
	}
	raw, err := hex.DecodeString(d.Hex())
	if err != nil {
		return ""
	}
	return string(alg) + string(raw)
}

// unpack takes a digest from the front of b and returns what follows it.
func unpack(b []byte) (d seaworthy.Digest, rest []byte, ok bool) {
	if len(b) == 0 {
		return "", nil, false
	}
	name, n := "sha256", 32
	switch b[0] {
	case algSHA256:
	case algSHA512:
		name, n = "sha512", 64
	default:
		return "", nil, false
	}
	if len(b) < 1+n {
		return "", nil, false
	}
	return seaworthy.Digest(name + ":" + hex.EncodeToString(b[1:1+n])), b[1+n:], true
}

// repositoryOf returns the name in front of a key, and the rest.
func repositoryOf(k []byte) (string, []byte) {
	name, rest, _ := bytes.Cut(k, []byte{0})
	return string(name), rest
}

// soundName reports whether a repository's name can be in a key.
func soundName(repository string) bool {
	return repository != "" && len(repository) <= MaxName && !strings.ContainsRune(repository, 0)
}
