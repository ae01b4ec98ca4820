package fulcio

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/internal/ask"
	"github.com/seaworthy-dev/seaworthy/trust/key"
)

// Client asks a Fulcio v2 authority for certificates. It is an engine/sign.Authority.
type Client struct {
	URL string // without /api/v2
}

// Certify shows the token and a signing request, which proves that we have the key, and returns the certificate (DER).
// Errors: those of ask.Ask; Invalid for an answer without a certificate.
func (c Client) Certify(ctx context.Context, token string, k key.Private) ([]byte, error) {
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, k.Signer())
	if err != nil {
		return nil, seaworthy.Errorf(seaworthy.Internal, "asking for a certificate: %w", err)
	}
	body, err := json.Marshal(struct {
		CSR []byte `json:"certificateSigningRequest"`
	}{pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: csr})})
	if err != nil {
		return nil, seaworthy.Errorf(seaworthy.Internal, "asking for a certificate: %w", err)
	}
	answer, err := ask.Ask(ctx, ask.Question{
		URL: strings.TrimSuffix(c.URL, "/") + "/api/v2/signingCert", ContentType: "application/json", Body: body, Secret: token,
	})
	if err != nil {
		return nil, err
	}
	type chain struct {
		Chain struct {
			Certificates []string `json:"certificates"`
		} `json:"chain"`
	}
	var got struct {
		Embedded chain `json:"signedCertificateEmbeddedSct"`
		Detached chain `json:"signedCertificateDetachedSct"`
	}
	if err := json.Unmarshal(answer, &got); err != nil {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "reading the answer of %q: %w", c.URL, err)
	}
	certificates := append(got.Embedded.Chain.Certificates, got.Detached.Chain.Certificates...)
	if len(certificates) == 0 {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "reading the answer of %q: there is no certificate in it", c.URL)
	}
	block, _ := pem.Decode([]byte(certificates[0]))
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "reading the answer of %q: its certificate is no PEM", c.URL)
	}
	return block.Bytes, nil
}
