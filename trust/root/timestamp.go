package root

import (
	"bytes"

	"github.com/digitorus/timestamp"
	sigroot "github.com/sigstore/sigstore-go/pkg/root"

	"github.com/seaworthy-dev/seaworthy"
)

// maxTimestamp is how large an RFC 3161 response may be: 64 KiB; those with a whole chain have five.
const maxTimestamp = 64 << 10

// TimestampOver reports whether a response is a timestamp over a signature, whoever made it. Errors: Invalid,
// Mismatch.
func TimestampOver(response, signed []byte) (err error) {
	if len(response) > maxTimestamp {
		return seaworthy.Errorf(seaworthy.TooLarge, "a timestamp of more than %d bytes", maxTimestamp)
	}
	defer func() {
		if r := recover(); r != nil {
			err = seaworthy.Errorf(seaworthy.Invalid, "a broken timestamp (%v)", r)
		}
	}()
	ts, err := timestamp.ParseResponse(response)
	if err != nil {
		return seaworthy.Errorf(seaworthy.Invalid, "a broken timestamp: %w", err)
	}
	if !ts.HashAlgorithm.Available() {
		return seaworthy.Errorf(seaworthy.Unsupported, "a timestamp over an unknown hash")
	}
	h := ts.HashAlgorithm.New()
	h.Write(signed)
	if !bytes.Equal(h.Sum(nil), ts.HashedMessage) {
		return seaworthy.Errorf(seaworthy.Mismatch, "a timestamp over another signature")
	}
	return nil
}

// verifyTimestamp keeps the ASN.1 parsers below from taking the program down.
func verifyTimestamp(tsa sigroot.TimestampingAuthority, response, signed []byte) (ts *sigroot.Timestamp, err error) {
	if len(response) > maxTimestamp {
		return nil, seaworthy.Errorf(seaworthy.TooLarge, "a timestamp of more than %d bytes", maxTimestamp)
	}
	defer func() {
		if r := recover(); r != nil {
			ts, err = nil, seaworthy.Errorf(seaworthy.Invalid, "a broken timestamp (%v)", r)
		}
	}()
	return tsa.Verify(response, signed)
}
