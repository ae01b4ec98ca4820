package bundle

import (
	"crypto"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"io"

	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"

	"github.com/seaworthy-dev/seaworthy"
)

// hashNames are the digests that signatures are made over.
var hashNames = map[protocommon.HashAlgorithm]string{
	protocommon.HashAlgorithm_SHA2_256: "sha256",
	protocommon.HashAlgorithm_SHA2_384: "sha384",
	protocommon.HashAlgorithm_SHA2_512: "sha512",
}

var hashFuncs = map[string]crypto.Hash{"sha256": crypto.SHA256, "sha384": crypto.SHA384, "sha512": crypto.SHA512}

// maxWhole is how much of a file is held in memory for the rare signature that is over the whole of it (Ed25519 as
// older tools signed): 256 MiB.
const maxWhole = 256 << 20

// Artifact is what must have been signed. The zero value is nothing and matches nothing.
type Artifact struct {
	name    string
	digests map[string][]byte // by "sha256" …
	open    func() (io.ReadCloser, error)
}

// DigestArtifact is an artifact of which only the digest is known, an image for example. name is for people.
// Errors: Unsupported when d is not sha256, sha384 or sha512.
func DigestArtifact(name string, d seaworthy.Digest) (Artifact, error) {
	if _, ok := hashFuncs[d.Algorithm()]; !ok {
		return Artifact{}, seaworthy.Errorf(seaworthy.Unsupported, "%q is no digest that signatures are made over", string(d))
	}
	if parsed, err := seaworthy.ParseDigest(string(d)); err != nil || parsed != d {
		return Artifact{}, seaworthy.Errorf(seaworthy.Invalid, "%q is no digest", string(d))
	}
	sum, err := hex.DecodeString(d.Hex())
	if err != nil {
		return Artifact{}, seaworthy.Errorf(seaworthy.Invalid, "%q is no digest", string(d))
	}
	return Artifact{name: name, digests: map[string][]byte{d.Algorithm(): sum}}, nil
}

// FileArtifact reads what r gives, once, and hashes it. open may be nil; it is asked for the same bytes again only
// by signatures that are over a whole file. Errors: Storage, from r.
func FileArtifact(name string, r io.Reader, open func() (io.ReadCloser, error)) (Artifact, error) {
	h256, h384, h512 := sha256.New(), sha512.New384(), sha512.New()
	if _, err := io.Copy(io.MultiWriter(h256, h384, h512), r); err != nil {
		return Artifact{}, seaworthy.Wrap(err, seaworthy.Storage, "reading %q", name)
	}
	return Artifact{name, map[string][]byte{"sha256": h256.Sum(nil), "sha384": h384.Sum(nil), "sha512": h512.Sum(nil)}, open}, nil
}

// Digest names the artifact: by sha256 when that is known.
func (a Artifact) Digest() seaworthy.Digest {
	for _, alg := range []string{"sha256", "sha512", "sha384"} {
		if sum, ok := a.digests[alg]; ok {
			return seaworthy.Digest(alg + ":" + hex.EncodeToString(sum))
		}
	}
	return ""
}

// Name is what people call it.
func (a Artifact) Name() string { return a.name }

// whole reads the artifact into memory and makes sure that it is still the same. Errors: Unsupported, TooLarge,
// Conflict.
func (a Artifact) whole() ([]byte, error) {
	if a.open == nil {
		return nil, seaworthy.Errorf(seaworthy.Unsupported, "the signature is over the whole file, of which only the digest is known")
	}
	r, err := a.open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, maxWhole+1))
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Storage, "reading %q", a.name)
	}
	if len(b) > maxWhole {
		return nil, seaworthy.Errorf(seaworthy.TooLarge, "the signature is over the whole file, which has more than %d bytes", maxWhole)
	}
	if sum := sha256.Sum256(b); string(sum[:]) != string(a.digests["sha256"]) {
		return nil, seaworthy.Errorf(seaworthy.Conflict, "%q changed while it was read", a.name)
	}
	return b, nil
}
