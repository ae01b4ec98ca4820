package tsa

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"math/big"

	"github.com/digitorus/timestamp"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/internal/ask"
)

// Client asks an RFC 3161 authority for the time. It is an engine/sign.Timestamper.
type Client struct {
	URL string // the whole of it, as signing configs have it
}

// Timestamp returns the authority's response over a signature. It must be for the signature and for this question;
// who made it is for who has the authority's certificate. Errors: those of ask.Ask; Invalid, Mismatch.
func (c Client) Timestamp(ctx context.Context, signature []byte) ([]byte, error) {
	nonce, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 64))
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Internal, "asking for the time")
	}
	sum := sha256.Sum256(signature)
	query, err := (&timestamp.Request{HashAlgorithm: crypto.SHA256, HashedMessage: sum[:], Nonce: nonce, Certificates: true}).Marshal()
	if err != nil {
		return nil, seaworthy.Errorf(seaworthy.Internal, "asking for the time: %w", err)
	}
	answer, err := ask.Ask(ctx, ask.Question{URL: c.URL, ContentType: "application/timestamp-query", Body: query})
	if err != nil {
		return nil, err
	}
	got, err := timestamp.ParseResponse(answer)
	if err != nil {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "reading the answer of %q: %w", c.URL, err)
	}
	if !bytes.Equal(got.HashedMessage, sum[:]) || got.Nonce == nil || got.Nonce.Cmp(nonce) != 0 {
		return nil, seaworthy.Errorf(seaworthy.Mismatch, "reading the answer of %q: it is for another question", c.URL)
	}
	return answer, nil
}
