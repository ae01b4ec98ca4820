package seaworthy

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Digest names bytes by their hash: "algorithm:hex", as the OCI image specification writes it
// (image-spec descriptor.md, "Digests"). The zero value is no digest.
type Digest string

// digestHexLen is the closed list of algorithms we speak of, with the length of their hexadecimal form.
// Only sha256 and sha512 may name content that is fetched; the others occur as facts in bills.
var digestHexLen = map[string]int{
	"md5": 32, "sha1": 40, "sha224": 56, "sha256": 64, "sha384": 96, "sha512": 128,
	"sha3-256": 64, "sha3-384": 96, "sha3-512": 128,
	"blake2b-256": 64, "blake2b-384": 96, "blake2b-512": 128, "blake3": 64,
	"gitoid-sha1": 40, "gitoid-sha256": 64,
}

// ParseDigest reads "algorithm:hex". Upper-case hexadecimal is folded to lower case.
// Errors: Invalid.
func ParseDigest(s string) (Digest, error) {
	alg, value, ok := strings.Cut(s, ":")
	if !ok {
		return "", Errorf(Invalid, "parsing digest %q: no algorithm before a colon", s).WithHint("a digest looks like sha256:<64 hexadecimal digits>")
	}
	return NewDigest(alg, value)
}

// NewDigest joins an algorithm and a hexadecimal value. Errors: Invalid.
func NewDigest(algorithm, value string) (Digest, error) {
	alg := strings.ToLower(algorithm)
	want, ok := digestHexLen[alg]
	if !ok {
		return "", Errorf(Invalid, "parsing digest: unknown algorithm %q", algorithm)
	}
	value = strings.ToLower(value)
	if len(value) != want {
		return "", Errorf(Invalid, "parsing %s digest: %d hexadecimal digits, want %d", alg, len(value), want)
	}
	for _, c := range []byte(value) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return "", Errorf(Invalid, "parsing %s digest: %q is not hexadecimal", alg, value)
		}
	}
	return Digest(alg + ":" + value), nil
}

// SHA256 returns the sha256 digest of b.
func SHA256(b []byte) Digest {
	sum := sha256.Sum256(b)
	return Digest("sha256:" + hex.EncodeToString(sum[:]))
}

// Algorithm returns the part before the colon.
func (d Digest) Algorithm() string { alg, _, _ := strings.Cut(string(d), ":"); return alg }

// Hex returns the part after the colon.
func (d Digest) Hex() string { _, h, _ := strings.Cut(string(d), ":"); return h }

// Short returns the algorithm and the first twelve digits, for people to read; never for comparison.
func (d Digest) Short() string {
	if h := d.Hex(); len(h) > 12 {
		return d.Algorithm() + ":" + h[:12]
	}
	return string(d)
}

// NamesContent reports whether bytes may be fetched and checked by this digest: sha256 or sha512, well formed.
func (d Digest) NamesContent() bool {
	alg := d.Algorithm()
	if alg != "sha256" && alg != "sha512" {
		return false
	}
	parsed, err := ParseDigest(string(d))
	return err == nil && parsed == d
}
