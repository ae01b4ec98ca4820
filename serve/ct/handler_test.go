package ct

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	ctgo "github.com/google/certificate-transparency-go"
	ctclient "github.com/google/certificate-transparency-go/client"
	"github.com/google/certificate-transparency-go/jsonclient"

	"github.com/seaworthy-dev/seaworthy/engine/ledger"
	"github.com/seaworthy-dev/seaworthy/store/keys"
)

func root(t *testing.T) (*x509.Certificate, crypto.Signer) {
	t.Helper()
	key, err := keys.P256()
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{Subject: pkix.Name{CommonName: "root"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	c, err := keys.Certify(template, template, key.Public(), key, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return c, key
}

// leaf makes a certificate, or a precertificate.
func leaf(t *testing.T, above *x509.Certificate, key crypto.Signer, precert bool) []byte {
	t.Helper()
	template := &x509.Certificate{Subject: pkix.Name{CommonName: "leaf"}}
	if precert {
		template.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 3}, Critical: true, Value: asn1.NullBytes}}
	}
	own, err := keys.P256()
	if err != nil {
		t.Fatal(err)
	}
	c, err := keys.Certify(template, above, own.Public(), key, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return c.Raw
}

// The field's own client submits, and checks what it is promised.
func TestChains(t *testing.T) {
	top, topKey := root(t)
	other, otherKey := root(t)
	key, err := keys.P256()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "ct")
	l, err := ledger.OpenCertificates(t.Context(), dir, "127.0.0.1/ct", key, []*x509.Certificate{top}, ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(New(l, http.NotFoundHandler(), nil))
	defer server.Close()
	client, err := ctclient.New(server.URL, server.Client(), jsonclient.Options{PublicKeyDER: l.PublicKey()})
	if err != nil {
		t.Fatal(err)
	}
	chain := func(ders ...[]byte) (all []ctgo.ASN1Cert) {
		for _, der := range ders {
			all = append(all, ctgo.ASN1Cert{Data: der})
		}
		return all
	}
	if _, err := client.AddPreChain(t.Context(), chain(leaf(t, top, topKey, true), top.Raw)); err != nil {
		t.Error(err)
	}
	if _, err := client.AddChain(t.Context(), chain(leaf(t, top, topKey, false), top.Raw)); err != nil {
		t.Error(err)
	}
	if l.Size() != 2 {
		t.Errorf("it has %d entries", l.Size())
	}
	if roots, err := client.GetAcceptedRoots(t.Context()); err != nil || len(roots) != 1 {
		t.Errorf("%v %v", roots, err)
	}
	for name, test := range map[string]struct {
		path  string
		chain [][]byte
	}{
		"another root":               {"add-pre-chain", [][]byte{leaf(t, other, otherKey, true), other.Raw}},
		"a chain that is none":       {"add-pre-chain", [][]byte{leaf(t, other, otherKey, true), top.Raw}},
		"a certificate as precert":   {"add-pre-chain", [][]byte{leaf(t, top, topKey, false), top.Raw}},
		"a precert as certificate":   {"add-chain", [][]byte{leaf(t, top, topKey, true), top.Raw}},
		"nothing":                    {"add-chain", nil},
		"no certificate":             {"add-chain", [][]byte{[]byte("x")}},
		"more than a chain can have": {"add-chain", make([][]byte, ledger.MaxChain+1)},
	} {
		body, err := json.Marshal(map[string]any{"chain": test.chain})
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/ct/v1/"+test.path, strings.NewReader(string(body)))
		if err != nil {
			t.Fatal(err)
		}
		res, err := server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %d", name, res.StatusCode)
		}
	}
	if err := l.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	// The library checks its own signatures; the log's files are checked as any reader would.
	v, err := ledger.Verifier("127.0.0.1/ct", key.Public().(*ecdsa.PublicKey), true)
	if err != nil {
		t.Fatal(err)
	}
	checked, err := ledger.Fsck(t.Context(), ledger.Folder{Path: dir, Certificates: true}, "127.0.0.1/ct", v, true)
	if err != nil || checked.Entries != 2 || len(checked.Problems) > 0 {
		t.Errorf("%+v %v", checked, err)
	}
}
