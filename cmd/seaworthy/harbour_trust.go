package main

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	pbcommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	pbtrust "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/internal/durable"
)

// writeTrust writes what clients need: trusted_root.json to verify with, signing_config.json to sign with.
func (h *harbour) writeTrust() error {
	root, err := plainJSON(h.trustedRoot())
	if err != nil {
		return err
	}
	signing, err := plainJSON(h.signingConfig())
	if err != nil {
		return err
	}
	var disk *durable.Disk
	for name, body := range map[string][]byte{"trusted_root.json": root, "signing_config.json": signing} {
		file := filepath.Join(h.dir, h.alone()+name)
		if err := disk.WriteFile(file, body); err != nil {
			return seaworthy.Wrap(err, seaworthy.Storage, "writing %q", file)
		}
		h.mux.HandleFunc("GET /"+name, serveJSON(body))
	}
	return nil
}

// alone is what the names of those files begin with when a role is served alone, so that the files of seaworthy up,
// and of other roles in the same folder, stay as they are.
func (h *harbour) alone() string {
	switch h.roles {
	case caRole:
		return "ca."
	case logRole:
		return "log."
	case tsaRole:
		return "tsa."
	}
	return ""
}

// plainJSON writes a message the same way every time, which protojson does not.
func plainJSON(m proto.Message) ([]byte, error) {
	body, err := protojson.Marshal(m)
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Internal, "writing %T", m)
	}
	var compact, out bytes.Buffer
	if err = json.Compact(&compact, body); err == nil {
		err = json.Indent(&out, compact.Bytes(), "", "  ")
	}
	out.WriteByte('\n')
	return out.Bytes(), seaworthy.Wrap(err, seaworthy.Internal, "writing %T", m)
}

func (h *harbour) trustedRoot() *pbtrust.TrustedRoot {
	r := &pbtrust.TrustedRoot{MediaType: "application/vnd.dev.sigstore.trustedroot+json;version=0.1"}
	instance := func(url string, public, id []byte, kind pbcommon.PublicKeyDetails) []*pbtrust.TransparencyLogInstance {
		return []*pbtrust.TransparencyLogInstance{{
			BaseUrl: url, HashAlgorithm: pbcommon.HashAlgorithm_SHA2_256, LogId: &pbcommon.LogId{KeyId: id},
			PublicKey: &pbcommon.PublicKey{RawBytes: public, KeyDetails: kind, ValidFor: h.since()},
		}}
	}
	authority := func(uri string, chain []*x509.Certificate) []*pbtrust.CertificateAuthority {
		c := new(pbcommon.X509CertificateChain)
		for _, one := range chain {
			c.Certificates = append(c.Certificates, &pbcommon.X509Certificate{RawBytes: one.Raw})
		}
		subject := chain[len(chain)-1].Subject
		return []*pbtrust.CertificateAuthority{{
			Uri: uri, CertChain: c, ValidFor: &pbcommon.TimeRange{Start: timestamppb.New(chain[len(chain)-1].NotBefore)},
			Subject: &pbcommon.DistinguishedName{Organization: strings.Join(subject.Organization, ", "), CommonName: subject.CommonName},
		}}
	}
	if h.ledger != nil {
		r.Tlogs = instance(h.base, h.ledger.PublicKey(), h.ledger.ID(), pbcommon.PublicKeyDetails_PKIX_ED25519)
	}
	if h.authority != nil {
		r.CertificateAuthorities = authority(h.base, h.authority.Chain())
		r.Ctlogs = instance(h.base+"/ct", h.certs.PublicKey(), h.certs.ID(), pbcommon.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256)
	}
	if h.stamps != nil {
		r.TimestampAuthorities = authority(h.base+"/api/v1/timestamp", h.stamps.Chain())
	}
	return r
}

func (h *harbour) signingConfig() *pbtrust.SigningConfig {
	service := func(url string, version uint32) []*pbtrust.Service {
		return []*pbtrust.Service{{Url: url, MajorApiVersion: version, ValidFor: h.since(), Operator: "seaworthy"}}
	}
	c := &pbtrust.SigningConfig{MediaType: "application/vnd.dev.sigstore.signingconfig.v0.2+json"}
	if h.authority != nil {
		c.CaUrls = service(h.base, 1)
	}
	if h.issuer != nil {
		c.OidcUrls = service(h.issuer.URL(), 1)
	}
	if h.ledger != nil {
		c.RekorTlogUrls = service(h.base, 2)
		c.RekorTlogConfig = &pbtrust.ServiceConfiguration{Selector: pbtrust.ServiceSelector_ANY}
	}
	if h.stamps != nil {
		c.TsaUrls = service(h.base+"/api/v1/timestamp", 1)
		c.TsaConfig = &pbtrust.ServiceConfiguration{Selector: pbtrust.ServiceSelector_ANY}
	}
	return c
}

// since is when the keys of the harbour began to be used: when its oldest certificate did. The folder remembers
// nothing else of its beginning, and what is written must be the same every time.
func (h *harbour) since() *pbcommon.TimeRange {
	var start time.Time
	switch {
	case h.authority != nil:
		start = h.authority.Chain()[0].NotBefore
	case h.stamps != nil:
		start = h.stamps.Chain()[0].NotBefore
	}
	return &pbcommon.TimeRange{Start: timestamppb.New(start)}
}

// lines are what makes cosign use the harbour.
func (h *harbour) lines() string {
	var b strings.Builder
	dir, err := filepath.Abs(h.dir)
	if err != nil {
		dir = h.dir
	}
	fmt.Fprintf(&b, "export SIGSTORE_TRUSTED_ROOT=%s\n", quoteShell(filepath.Join(dir, h.alone()+"trusted_root.json")))
	fmt.Fprintf(&b, "export SIGSTORE_SIGNING_CONFIG=%s\n", quoteShell(filepath.Join(dir, h.alone()+"signing_config.json")))
	if h.graph != nil {
		fmt.Fprintf(&b, "# the page: %s/\n", h.base)
	}
	if h.roles&(caRole|logRole|tsaRole) != caRole|logRole|tsaRole {
		return b.String()
	}
	token := ""
	if h.issuer != nil {
		fmt.Fprintf(&b, "export SIGSTORE_ID_TOKEN=\"$(curl -fsS '%s/token?email=you@example.com')\"\n", h.issuer.URL())
		token = ` --identity-token "$SIGSTORE_ID_TOKEN"`
	}
	fmt.Fprintf(&b, "# cosign sign-blob --yes --signing-config \"$SIGSTORE_SIGNING_CONFIG\" --trusted-root \"$SIGSTORE_TRUSTED_ROOT\"%s --bundle FILE.sigstore.json FILE\n", token)
	who := " --certificate-identity WHO --certificate-oidc-issuer ISSUER"
	if h.issuer != nil {
		who = " --certificate-identity you@example.com --certificate-oidc-issuer " + h.issuer.URL()
	}
	fmt.Fprintf(&b, "# cosign verify-blob --trusted-root \"$SIGSTORE_TRUSTED_ROOT\"%s --bundle FILE.sigstore.json FILE\n", who)
	return b.String()
}

func quoteShell(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
