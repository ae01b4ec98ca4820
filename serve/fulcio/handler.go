// Package fulcio speaks the HTTP API of Fulcio v2 for an engine/ca: certificates for those who show a token.
//
//	POST /api/v2/signingCert     a certificate
//	GET  /api/v2/trustBundle     the authority's own certificates
//	GET  /api/v2/configuration   whose tokens are taken
package fulcio

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"

	pb "github.com/sigstore/fulcio/pkg/generated/protobuf"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/ca"
	"github.com/seaworthy-dev/seaworthy/store/keys"
)

// MaxRequest is the longest request, in bytes: Fulcio's own limit.
const MaxRequest = 4 << 20

// Handler serves the API.
type Handler struct {
	authority *ca.Authority
	log       *slog.Logger
	mux       *http.ServeMux
}

// New makes a handler. A nil log is none.
func New(a *ca.Authority, log *slog.Logger) *Handler {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	h := &Handler{authority: a, log: log, mux: http.NewServeMux()}
	h.mux.HandleFunc("POST /api/v2/signingCert", h.answer(h.issue))
	h.mux.HandleFunc("GET /api/v2/trustBundle", h.answer(h.trustBundle))
	h.mux.HandleFunc("GET /api/v2/configuration", h.answer(h.configuration))
	return h
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, req *http.Request) { h.mux.ServeHTTP(w, req) }

func (h *Handler) issue(w http.ResponseWriter, req *http.Request) (proto.Message, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, MaxRequest))
	if err != nil {
		return nil, readError(err)
	}
	var asked pb.CreateSigningCertificateRequest
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(body, &asked); err != nil {
		// Not the error: it may quote the token.
		return nil, seaworthy.Errorf(seaworthy.Invalid, "reading the request: not the JSON of a request for a certificate")
	}
	token := asked.GetCredentials().GetOidcIdentityToken()
	if token == "" {
		scheme, value, _ := strings.Cut(req.Header.Get("Authorization"), " ")
		if !strings.EqualFold(scheme, "bearer") || value == "" {
			return nil, seaworthy.Errorf(seaworthy.Unauthorized, "reading the request: it has no token")
		}
		token = value
	}
	chain, err := h.authority.Issue(req.Context(), ca.Request{
		Token: token, CSR: asked.GetCertificateSigningRequest(),
		PublicKey: asked.GetPublicKeyRequest().GetPublicKey().GetContent(), Proof: asked.GetPublicKeyRequest().GetProofOfPossession(),
	})
	if err != nil {
		return nil, err
	}
	return &pb.SigningCertificate{Certificate: &pb.SigningCertificate_SignedCertificateEmbeddedSct{
		SignedCertificateEmbeddedSct: &pb.SigningCertificateEmbeddedSCT{Chain: pems(chain)},
	}}, nil
}

func (h *Handler) trustBundle(http.ResponseWriter, *http.Request) (proto.Message, error) {
	return &pb.TrustBundle{Chains: []*pb.CertificateChain{pems(h.authority.Chain())}}, nil
}

func (h *Handler) configuration(http.ResponseWriter, *http.Request) (proto.Message, error) {
	return &pb.Configuration{Issuers: h.authority.Issuers().ToIssuers()}, nil
}

func pems(chain []*x509.Certificate) *pb.CertificateChain {
	c := new(pb.CertificateChain)
	for _, one := range chain {
		c.Certificates = append(c.Certificates, string(keys.EncodeChain([]*x509.Certificate{one})))
	}
	return c
}

// answer writes what f returns.
func (h *Handler) answer(f func(http.ResponseWriter, *http.Request) (proto.Message, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		m, err := f(w, req)
		var body []byte
		if err == nil {
			body, err = protojson.Marshal(m)
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if err != nil {
			h.fail(w, req, err)
			return
		}
		_, _ = w.Write(body) // the client went away
	}
}

// statuses is the one map from code to HTTP status and gRPC code, which Fulcio's clients may read.
var statuses = map[seaworthy.Code]struct{ http, grpc int }{
	seaworthy.Invalid:      {http.StatusBadRequest, 3},
	seaworthy.Unauthorized: {http.StatusUnauthorized, 16},
	seaworthy.TooLarge:     {http.StatusRequestEntityTooLarge, 3},
	seaworthy.Unavailable:  {http.StatusServiceUnavailable, 14},
	seaworthy.Storage:      {http.StatusServiceUnavailable, 14},
	seaworthy.Refused:      {http.StatusServiceUnavailable, 14},
}

func (h *Handler) fail(w http.ResponseWriter, req *http.Request, err error) {
	status, ok := statuses[seaworthy.CodeOf(err)]
	text := err.Error()
	if !ok {
		status.http, status.grpc, text = http.StatusInternalServerError, 13, "internal error"
	}
	if status.http >= 500 {
		h.log.ErrorContext(req.Context(), "request for a certificate", "error", err.Error())
	}
	if status.http == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	w.WriteHeader(status.http)
	_ = json.NewEncoder(w).Encode(map[string]any{"code": status.grpc, "message": text, "details": []any{}})
}

func readError(err error) error {
	var long *http.MaxBytesError
	if errors.As(err, &long) {
		return seaworthy.Errorf(seaworthy.TooLarge, "reading the request: more than %d bytes", MaxRequest)
	}
	return seaworthy.Wrap(err, seaworthy.Invalid, "reading the request")
}
